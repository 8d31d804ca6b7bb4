"""The kernel's table of connections (conntrack), by nfnetlink."""
