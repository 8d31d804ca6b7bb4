"""``netd run`` where the user has no inotify instance left, and the slow look comes every second."""

import ctypes
import errno
import sys
from typing import Any

import netd.daemon.daemon
import netd.daemon.directory_watch
import netd.kernel.inotify
from netd.cli.main import main
from netd.kernel.libc import LIBC


class Exhausted:
    """The C library, but for one call."""

    def __getattr__(self, name: str) -> Any:
        return getattr(LIBC, name)

    def inotify_init1(self, flags: int) -> int:
        ctypes.set_errno(errno.EMFILE)
        return -1


def refuse(*args: Any, **others: Any) -> None:
    raise OSError(errno.EMFILE, "inotify instance limit reached")


if __name__ == "__main__":
    setattr(netd.kernel.inotify, "LIBC", Exhausted())  # noqa: B010
    setattr(netd.daemon.directory_watch, "Observer", refuse)  # noqa: B010 (its type is a union of classes)
    netd.daemon.daemon.POLL = 1.0
    sys.exit(main())
