"""WireGuard devices, by generic netlink."""
