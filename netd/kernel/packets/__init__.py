"""Packets as they pass a link: packet sockets, packet(7)."""
