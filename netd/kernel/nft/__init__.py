"""nftables and iptables-legacy: netd's own table, and the base chains of other tools."""
