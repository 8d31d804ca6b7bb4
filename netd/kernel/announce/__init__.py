"""Announces the MAC address of an IP address to its segment (gratuitous ARP, unsolicited neighbor advertisement)."""
