"""inotify(7) through the C library: one descriptor, watches by number."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from .libc import LIBC

IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x8, 0x40, 0x80, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_Q_OVERFLOW, IN_IGNORED = 0x400, 0x800, 0x4000, 0x8000
IN_ONLYDIR = 0x01000000
ENTRIES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
#: Not there, just removed, or the user's limit of watches is reached: the periodic resync covers it.
UNWATCHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENOSPC, errno.EACCES, errno.ENODEV, errno.ESRCH})


class Event(NamedTuple):
    """One inotify_event."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify descriptor, never blocking. ``trouble``: why there is none, and so no watch; else ""."""

    def __init__(self) -> None:
        self.descriptor: int = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.trouble = ""
        if self.descriptor < 0:
            # The limit is root's in all containers of the machine together, and Debian's default is 128.
            said = os.strerror(ctypes.get_errno())
            self.trouble = f"inotify: {said}: raise the sysctl fs.inotify.max_user_instances, and restart netd"
            # A descriptor on which nothing ever happens: who waits for it goes on, and looks now and then.
            self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def close(self) -> None:
        """Ends all watches."""
        os.close(self.descriptor)

    def add(self, path: str, mask: int) -> int | None:
        """The number of the watch, the same for the same inode; None where the path cannot be watched."""
        if self.trouble:
            return None
        watch: int = LIBC.inotify_add_watch(self.descriptor, os.fsencode(path), ctypes.c_uint32(mask))
        if watch >= 0:
            return watch
        code = ctypes.get_errno()
        if code in UNWATCHED:
            return None
        raise OSError(code, os.strerror(code), path)

    def remove(self, watch: int) -> None:
        """Ends one watch; one that ended by itself is no error."""
        LIBC.inotify_rm_watch(self.descriptor, watch)

    def events(self) -> Iterator[Event]:
        """Everything that is queued."""
        while True:
            try:
                data = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return
            at = 0
            while at + 16 <= len(data):
                watch, mask, _, length = struct.unpack_from("=iIII", data, at)
                name = data[at + 16 : at + 16 + length].partition(b"\0")[0]
                yield Event(watch, mask, os.fsdecode(name))
                at += 16 + length
