"""A process that goes into a network namespace for good, as ``ip netns exec`` does, but by a descriptor.

A name may lead elsewhere between its check and its use; a descriptor stays the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

from netd.kernel.libc import LIBC

from .mount import CLONE_NEWNS, MNT_DETACH, MS_BIND, MS_REC, check, mount
from .setns import enter

MS_SLAVE = 0x80000
MS_RDONLY = 1
#: Files of a namespace that take the place of those in /etc, ip-netns(8).
ETC = "/etc/netns"


def enter_for_good(descriptor: int, name: str) -> None:
    """This process is in that namespace from now on, with its /sys, and its own files in /etc. OSError."""
    read_only = os.statvfs("/sys").f_flag & os.ST_RDONLY if os.path.ismount("/sys") else 0
    enter(descriptor)
    check(LIBC.unshare(CLONE_NEWNS), name)
    # What is mounted here from now on is seen by no one else.
    mount("", "/", MS_SLAVE | MS_REC)
    with contextlib.suppress(OSError):
        check(LIBC.umount2(b"/sys", MNT_DETACH), "/sys")
    flags = ctypes.c_ulong(MS_RDONLY if read_only else 0)
    with contextlib.suppress(OSError):
        check(LIBC.mount(os.fsencode(name), b"/sys", b"sysfs", flags, None), "/sys")
    with contextlib.suppress(OSError):
        for entry in os.listdir(f"{ETC}/{name}"):
            with contextlib.suppress(OSError):
                mount(f"{ETC}/{name}/{entry}", f"/etc/{entry}", MS_BIND)
