"""Which numbers descriptors get: libmnl waits by select(2), which ends a process with a higher number than it knows."""

from __future__ import annotations

import fcntl
import os

#: FD_SETSIZE.
LOW = 1024


def high(descriptor: int) -> int:
    """The same with a number that leaves the low ones free: libnftables' socket needs one of them."""
    try:
        copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOW)
    except OSError:
        return descriptor
    os.close(descriptor)
    return copy
