"""A machine under QEMU, with Debian's own kernel."""
