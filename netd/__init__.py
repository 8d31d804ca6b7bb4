"""netd builds the virtual network that the files in /etc/netd describe, and keeps it so."""

__version__ = "0.2.0"
