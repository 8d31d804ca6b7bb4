"""What kinds of link share: their ends, MACs, bridge ports, segments, and what is carried over to a new link."""
