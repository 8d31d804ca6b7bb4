"""Sysctls of one namespace, through descriptors of its own directories below /proc/sys/net.

By path an open costs 40 µs at 10 namespaces and 346 at 1,000; from a directory's O_PATH descriptor 8 at any number. The
descriptor must be of net/ipv4 (or net/ipv6 ...): that of net itself shows the namespace of the caller. It does not keep
the namespace alive; in a deleted one no key exists.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Callable

from netd.errors import kernel_error
from netd.kernel.descriptors import high

ROOT = "/proc/sys/net"
DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
LARGEST = 1 << 16
#: The modules that create the keys of a directory.
MODULES = {"bridge": "br_netfilter", "netfilter": "nf_conntrack", "mpls": "mpls_router"}
#: The process or the machine is out of descriptors or memory: that says nothing about the key.
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
Inside = Callable[[Callable[[], int]], int]


class SysctlDirectories:
    """Descriptors by (cookie of the namespace, directory), the least recently used is closed first."""

    def __init__(self, limit: int = 256) -> None:
        self.limit = limit
        self._open: OrderedDict[tuple[int, str], int] = OrderedDict()

    def descriptor(self, cookie: int, directory: str, inside: Inside) -> int:
        """O_PATH descriptor of /proc/sys/net/DIRECTORY; ``inside`` calls a function in the namespace. OSError."""
        key = (cookie, directory)
        found = self._open.get(key)
        if found is not None:
            self._open.move_to_end(key)
            return found
        found = high(inside(lambda: os.open(f"{ROOT}/{directory}", DIRECTORY | os.O_NOFOLLOW)))
        self._open[key] = found
        while len(self._open) > self.limit:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest)
        return found

    def forget(self, cookie: int) -> None:
        """Closes the descriptors of one namespace."""
        for key in [key for key in self._open if key[0] == cookie]:
            os.close(self._open.pop(key))

    def close(self) -> None:
        """Closes all."""
        while self._open:
            os.close(self._open.popitem()[1])


class Sysctls:
    """The keys of one namespace. Paths are those below /proc/sys ("net/ipv4/conf/eth0/forwarding")."""

    def __init__(self, cookie: int, directories: SysctlDirectories, inside: Inside) -> None:
        self._cookie = cookie
        self._directories = directories
        self._inside = inside

    def open(self, path: str, flags: int) -> int:
        """A descriptor of the key's file; OSError. Nothing outside /proc/sys/net can be named.

        Looked up in the namespace: from outside each look-up makes a new inode, which hides the one that is watched
        (proc_sys_compare in fs/proc/proc_sysctl.c).
        """
        parts = path.split("/")
        if len(parts) < 2 or parts[0] != "net" or "\0" in path or any(part in ("", ".", "..") for part in parts):
            raise OSError(errno.EINVAL, f"not a sysctl below net: {path}")
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        if len(parts) == 2:
            return self._inside(lambda: os.open(f"{ROOT}/{parts[1]}", flags))
        directory, rest = self._directories.descriptor(self._cookie, parts[1], self._inside), "/".join(parts[2:])
        return self._inside(lambda: os.open(rest, flags, dir_fd=directory))

    def read(self, path: str) -> str | None:
        """The value, words joined by one space; None where there is no such key (or it has no value to read).

        KernelError where the process is out of descriptors or memory.
        """
        try:
            descriptor = self.open(path, os.O_RDONLY)
        except (OSError, ValueError) as error:
            code = getattr(error, "errno", None)
            if code in SHORT:
                raise kernel_error(code, f"sysctl {path}") from None
            return None
        try:
            return " ".join(os.read(descriptor, LARGEST).decode(errors="replace").split())
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def write(self, path: str, value: str) -> None:
        """One write(2) of the whole value; KernelError."""
        try:
            descriptor = self.open(path, os.O_WRONLY)
            try:
                os.write(descriptor, value.encode() + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            module = MODULES.get(path.split("/")[1]) if error.errno == errno.ENOENT else None
            hint = f" (is the module {module} loaded?)" if module else ""
            raise kernel_error(error.errno or errno.EIO, f"sysctl {path} = {value}{hint}") from None
        except ValueError:
            raise kernel_error(errno.EINVAL, f"sysctl {path} = {value!r}") from None
