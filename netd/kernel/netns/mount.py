"""The mount calls, all in this file: in a sandbox they must happen in another mount namespace.

A sandboxed unit has a mount namespace of its own. What it mounts there is invisible outside and ends with it, so the
names of namespaces would be empty files to ``ip netns``, and the namespaces would die with the daemon. ``host=True``
makes each call in the mount namespace of process 1, from where it comes back into the unit by propagation. That takes
CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE, and 0.02 ms.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from netd.errors import UsageError
from netd.kernel.libc import LIBC

MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000
MNT_DETACH = 2
CLONE_FS, CLONE_NEWNS = 0x200, 0x20000
OWN, HOST = "/proc/self/ns/mnt", "/proc/1/ns/mnt"


class Mounts:
    """Mounts in this process's namespace, or (``host``) in that of process 1."""

    def __init__(self, host: bool = False) -> None:
        self._own = self._host = -1
        if not host:
            return
        try:
            if os.path.samefile(OWN, HOST):
                return
            self._own, self._host = (os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in (OWN, HOST))
        except OSError as error:
            needs = "it takes CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE"
            raise UsageError(f"{HOST}: {error.strerror}: {needs} to make namespaces visible to the host") from None

    def close(self) -> None:
        """Closes the descriptors."""
        for descriptor in (self._own, self._host):
            if descriptor >= 0:
                os.close(descriptor)
        self._own = self._host = -1

    def bind(self, source: str, target: str) -> None:
        """Gives a namespace a name."""
        with self._outside():
            mount(source, target, MS_BIND)

    def unmount(self, target: str) -> None:
        """umount2(2) with MNT_DETACH; OSError EINVAL where nothing is mounted there."""
        with self._outside():
            check(LIBC.umount2(os.fsencode(target), MNT_DETACH), target)

    def share(self, directory: str) -> None:
        """Makes the directory of names a shared mount point, as ip-netns(8) does: its mounts propagate."""
        with self._outside():
            try:
                os.makedirs(directory)
                os.chmod(directory, 0o755)  # whatever the umask; an existing directory keeps its mode
            except FileExistsError:
                pass
            try:
                mount("", directory, MS_SHARED | MS_REC)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                mount(directory, directory, MS_BIND | MS_REC)
                mount("", directory, MS_SHARED | MS_REC)

    @contextmanager
    def _outside(self) -> Iterator[None]:
        """The calling thread is in the other mount namespace until the end of ``with``; no await between."""
        if self._host < 0:
            yield
            return
        # A thread that shares its working directory with others cannot move; those that start later share it again.
        check(LIBC.unshare(CLONE_FS), HOST)
        check(LIBC.setns(self._host, CLONE_NEWNS), HOST)
        try:
            yield
        finally:
            check(LIBC.setns(self._own, CLONE_NEWNS), OWN)


def mount(source: str, target: str, flags: int) -> None:
    """mount(2) without a file system; OSError."""
    check(LIBC.mount(os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None), target)


def check(result: int, path: str) -> None:
    """The errno of a call that failed, as OSError."""
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
