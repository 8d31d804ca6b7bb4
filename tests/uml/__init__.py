"""Debian's User-Mode Linux kernel: it has the kinds of links that the kernel of a test machine may lack."""
