"""The files of the directory: which are read, whether they are completely written, who can write to them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shlex
import signal
import stat
from dataclasses import dataclass

from netd.config.diagnostics.problem import printable
from netd.errors import ConfigError

ENDING = ".toml"
#: Bytes. A thousand namespaces need half a million.
LARGEST = 8 << 20
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
         stat.S_IFBLK: "a device"}  # fmt: skip
#: A file that is younger than this can change without a new timestamp (the kernel's tick, and some more).
TICK_NS = 50_000_000


class Unreadable(ConfigError):
    """A file that is not read; the text says why."""


class HeldOpen(ConfigError):
    """A file that another process is writing at the moment."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a file does; two equal ones mean the same content."""

    device: int
    inode: int
    size: int
    changed_ns: int
    modified_ns: int
    owner: int
    mode: int


def stamp(found: os.stat_result) -> Stamp:
    """The stamp of a stat."""
    return Stamp(
        found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns, found.st_mtime_ns, found.st_uid, found.st_mode
    )


def config_files(directory: str) -> list[str]:
    """The paths of a directory's configuration files, in the order of their names."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise ConfigError(f"{printable(directory)} cannot be read: {error.strerror}") from None
    return [os.path.join(directory, name) for name in sorted(names) if name.endswith(ENDING) and name[0] not in ".#"]


def is_null(found: os.stat_result) -> bool:
    """/dev/null: a file that declares nothing."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 3)


def read_file(path: str) -> tuple[bytes, os.stat_result]:
    """The content of a file whose writer is done. FileNotFoundError: it is gone; Unreadable; HeldOpen."""
    found = os.stat(path)
    if is_null(found):
        return b"", found
    _must_be_plain(found)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except BlockingIOError:
        raise HeldOpen from None  # another process has a write lease
    try:
        before = os.fstat(descriptor)
        _must_be_plain(before)
        if is_held_open(descriptor):
            raise HeldOpen
        content = _read_all(descriptor)
        # Looked at again: a writer may have come meanwhile.
        if is_held_open(descriptor) or stamp(os.fstat(descriptor)) != stamp(before):
            raise HeldOpen
        return content, before
    finally:
        os.close(descriptor)


def _must_be_plain(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"is {KINDS.get(stat.S_IFMT(found.st_mode), 'something')}, not a file")
    if found.st_size > LARGEST:
        raise Unreadable(f"is too large: {found.st_size} bytes, at most {LARGEST} are read")


def _read_all(descriptor: int) -> bytes:
    parts, size = [], 0
    while part := os.read(descriptor, 1 << 20):
        size += len(part)
        if size > LARGEST:
            raise Unreadable(f"is too large: more than {LARGEST} bytes")
        parts.append(part)
    return b"".join(parts)


def is_held_open(descriptor: int) -> bool:
    """Whether any process has the file open for writing, fcntl(2) F_SETLEASE: then a read lease is refused.

    The lease is released at once: while it is held, open(2) blocks for others, and netd gets a signal. SIGIO
    would end the process; SIGURG is ignored by default.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # Anything else: leases do not work here (a file of another user without CAP_LEASE, a network file system).
        return error.errno in (errno.EAGAIN, errno.EBUSY)
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def distrust(path: str) -> str:
    """Why root should not trust a file: another user can write it, or move it there; "" where none can.

    A clause without a period: "it belongs to user 1000, not to root".
    """
    directory = os.path.dirname(path)
    try:
        reason = _writable(directory, "its directory ", os.stat(directory))
        found = os.lstat(path)
        if reason or not stat.S_ISLNK(found.st_mode):
            return reason or _writable(path, "it ", found)
        return _link_leads_astray(path, directory)
    except OSError as error:
        return "" if error.errno == errno.ENOENT else f"it cannot be checked: {error.strerror}"


def distrust_directory(directory: str) -> str:
    """The same of a directory: who can write to it can also remove what is in it."""
    try:
        return _writable(directory, "its directory ", os.stat(directory))
    except OSError:
        return ""


def _link_leads_astray(path: str, directory: str) -> str:
    if is_null(os.stat(path)):
        return ""
    real, root = os.path.realpath(path), os.path.realpath(directory)
    if os.path.commonpath([real, root]) != root:
        copied = f"cp --remove-destination {shlex.quote(real)} {shlex.quote(path)}"
        return f"it is a symbolic link that leaves the directory, to {real}: {copied}"
    if real == root:
        return "it is a symbolic link to the directory itself"
    reason = _writable(real, "the target of the link ", os.stat(real))
    between = os.path.dirname(real)
    while between != root:
        reason = reason or _writable(between, "a directory on its path ", os.stat(between))
        between = os.path.dirname(between)
    return reason


def _writable(path: str, what: str, found: os.stat_result) -> str:
    if found.st_uid != 0:
        return f"{what}belongs to user {found.st_uid}, not to root: chown root {shlex.quote(path)}"
    if found.st_mode & OTHERS_MAY_WRITE:
        return f"{what}is writable by users other than root: chmod go-w {shlex.quote(path)}"
    return ""


class _Statx(ctypes.Structure):
    """struct statx, as far as needed: include/uapi/linux/stat.h."""

    _fields_ = (
        ("mask", ctypes.c_uint32),
        ("before", ctypes.c_uint8 * 76),
        ("birth_seconds", ctypes.c_int64),
        ("birth_nanoseconds", ctypes.c_uint32),
        ("after", ctypes.c_uint8 * 164),
    )


STATX_BTIME = 0x800


def identity(path: str) -> str:
    """The identity of a file, whatever its name and content. Inode numbers are reused, with another birth time."""
    try:
        found = os.stat(path)
        answer = _Statx()
        statx = ctypes.CDLL(None).statx
        at_cwd = -100
        if statx(at_cwd, os.fsencode(path), 0, STATX_BTIME, ctypes.byref(answer)) or not answer.mask & STATX_BTIME:
            return ""
    except (OSError, AttributeError):
        return ""
    return f"{found.st_dev}:{found.st_ino}:{answer.birth_seconds}.{answer.birth_nanoseconds}"
