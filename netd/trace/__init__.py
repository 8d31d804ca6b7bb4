"""The way of a packet through this machine: what decides at each step, and where it is lost."""
