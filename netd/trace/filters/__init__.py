"""Rules of nftables and iptables, as they meet one packet: three-valued, because not all of them can be known."""
