"""Network namespaces: opening one, and working inside it for a moment.

``setns`` acts on the calling thread. Whatever is done inside must not await, and no descriptor that belongs to another
namespace may be kept: it would keep the namespace, and every veth in it, alive after ``ip netns del``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netd.errors import as_kernel_error, kernel_error
from netd.kernel.libc import LIBC

from .trust import distrust

CLONE_NEWNET = 0x40000000
#: ioctl_ns(2).
NS_GET_NSTYPE = 0xB703
OWN = "/proc/thread-self/ns/net"

#: A path that is not there, is not mounted yet, or is no network namespace.
ABSENT = frozenset({
    errno.ENOENT, errno.EINVAL, errno.ENOTDIR, errno.ESRCH, errno.ENXIO, errno.EISDIR, errno.EACCES, errno.ELOOP,
    errno.ENAMETOOLONG,
})  # fmt: skip


class HomeNamespace:
    """The namespace that the process belongs to; no descriptor of any other one is kept open."""

    def __init__(self) -> None:
        self.descriptor = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        #: The device of nsfs: what is mounted from it is a namespace.
        self.device = os.fstat(self.descriptor).st_dev

    def close(self) -> None:
        """Lets go of the descriptor."""
        os.close(self.descriptor)

    @contextmanager
    def inside(self, descriptor: int) -> Iterator[None]:
        """The calling thread is in that namespace until the end of ``with``; no await between."""
        enter(descriptor)
        try:
            yield
        finally:
            enter(self.descriptor)

    def is_namespace(self, path: str) -> bool:
        """Whether a namespace is mounted at ``path`` (or a link to one exists there)."""
        try:
            return os.stat(path).st_dev == self.device
        except (OSError, ValueError):
            return False

    def identity(self, path: str) -> tuple[int, int] | None:
        """(device, inode) of the namespace at ``path``: an identity only between two that exist at once."""
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return None
        return (found.st_dev, found.st_ino) if found.st_dev == self.device else None


def enter(descriptor: int) -> None:
    """setns(2). The type is given: a sandbox may forbid 0. OSError EINVAL: it is no network namespace."""
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def leave_for_new() -> None:
    """unshare(2): the calling thread is in a new namespace."""
    if LIBC.unshare(CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def open_path(path: str, name: str, device: int) -> int:
    """A descriptor of the namespace at ``path``; KernelError ENOENT (Changed) where it is not there (yet).

    Read only, and never blocking: it may be any other file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        code = getattr(error, "errno", None) or errno.EINVAL
        raise kernel_error(errno.ENOENT if code in ABSENT else code, f"namespace {name}") from None
    if os.fstat(descriptor).st_dev != device or fcntl.ioctl(descriptor, NS_GET_NSTYPE) != CLONE_NEWNET:
        os.close(descriptor)
        raise kernel_error(errno.ENOENT, f"namespace {name}: {path} is no namespace, or not mounted yet")
    return descriptor


def open_descriptor(path: str, name: str, device: int) -> int:
    """``open_path``, with every error as KernelError. The descriptor is to be closed soon."""
    with as_kernel_error(f"opening namespace {name}"):
        return open_path(path, name, device)


def source_path(source: str) -> str:
    """The path of an attached namespace: of "pid:N" that process's, else ``source``; "" where others can change it."""
    if source.startswith("pid:"):
        return f"/proc/{source[4:]}/ns/net"
    return "" if distrust(source) else source


def process_inside(identity: tuple[int, int]) -> int | None:
    """The process with the lowest number inside a namespace, this one aside; None where there is none."""
    own = os.getpid()
    for pid in sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        try:
            found = os.stat(f"/proc/{pid}/ns/net")
        except OSError:
            continue
        if pid != own and (found.st_dev, found.st_ino) == identity:
            return pid
    return None
