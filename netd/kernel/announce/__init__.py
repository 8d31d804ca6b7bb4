"""Telling a segment which MAC address has an IP address now (gratuitous ARP, unsolicited neighbor advertisement)."""
