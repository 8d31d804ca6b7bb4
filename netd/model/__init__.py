"""Frozen values that the other packages exchange; no behaviour beyond themselves, no I/O."""
