"""The observed side: the kernel's state as it was last read."""
