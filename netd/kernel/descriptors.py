"""Numbers of descriptors: libmnl calls select(2), which ends the process at a number of FD_SETSIZE or more."""

from __future__ import annotations

import fcntl
import os

#: FD_SETSIZE.
LOW = 1024


def high(descriptor: int) -> int:
    """Moves a descriptor to a number of ``LOW`` or more: the socket of libnftables needs a lower one."""
    try:
        copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOW)
    except OSError:
        return descriptor
    os.close(descriptor)
    return copy
