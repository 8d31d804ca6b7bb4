"""rtnetlink: sockets, messages, encoding and decoding."""
