"""Captures: the packets of many links in many namespaces, in the order of time."""
