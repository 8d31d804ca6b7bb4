"""The mount calls, all in this file: a hardened unit will have to make them in the mount namespace of PID 1."""

from __future__ import annotations

import ctypes
import errno
import os

from .netns import LIBC

MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000
MNT_DETACH = 2


def mount(source: str, target: str, flags: int) -> None:
    """mount(2) without a file system; OSError."""
    if LIBC.mount(os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target: str) -> None:
    """umount2(2) with MNT_DETACH; OSError EINVAL where nothing is mounted there."""
    if LIBC.umount2(os.fsencode(target), MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def bind(source: str, target: str) -> None:
    """Gives a namespace a name."""
    mount(source, target, MS_BIND)


def share(folder: str) -> None:
    """Makes the folder of names a shared mount point, as ip-netns(8) does: others see what is mounted in it."""
    os.makedirs(folder, mode=0o755, exist_ok=True)
    try:
        mount("", folder, MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mount(folder, folder, MS_BIND | MS_REC)
        mount("", folder, MS_SHARED | MS_REC)
