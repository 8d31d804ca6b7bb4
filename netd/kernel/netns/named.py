"""The names in /run/netns: creating and deleting namespaces, and giving a name to an existing one.

``ip netns del`` unmounts first and unlinks then; ``ip netns add`` creates the file first and mounts then. Whoever acts
in between breaks that command, so netd waits for a file without a mount.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Callable

from netd.errors import as_kernel_error, kernel_error

from . import setns as netns
from .mount import Mounts

#: How long ``ip netns del`` may take between its two steps (measured: up to 9 ms), in seconds.
PATIENCE = 0.010
#: A file without a mount that is older than this was left behind, in seconds.
STALE_AGE = 1.0
LINK_TO_PROCESS = re.compile(r"/proc/\d+/ns/net")


class NamedNamespaces:
    """One directory of names.

    ``loopback_up`` sets ``lo`` up in the namespace of the calling thread, and returns that namespace's cookie.
    """

    def __init__(
        self, directory: str, home: netns.HomeNamespace, mounts: Mounts, loopback_up: Callable[[], int]
    ) -> None:
        self.directory = directory
        self.home = home
        self.mounts = mounts
        self._loopback_up = loopback_up
        # Bind mounts that this process made for attached namespaces: {name: identity}.
        self._bound: dict[str, tuple[int, int]] = {}

    def path(self, name: str) -> str:
        """Where ``ip netns`` looks for it."""
        return f"{self.directory}/{name}"

    def create(self, name: str, ipv6: bool, on_cookie: Callable[[int], None]) -> None:
        """Creates a namespace: it has its name once ``lo`` is up and ``on_cookie`` was called. KernelError EEXIST."""
        path = self.path(name)
        with as_kernel_error(f"creating namespace {name}"):
            self.mounts.share(self.directory)
            self._make(path, name, ipv6, on_cookie)

    def _claim(self, path: str, name: str) -> None:
        """Creates the empty file that the namespace is mounted on."""
        for _ in range(2):
            try:
                os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
                return
            except FileExistsError:
                self._wait_for_unlink(path, name)
        raise kernel_error(errno.EEXIST, f"{path} was created by another process at the same time")

    def _wait_for_unlink(self, path: str, name: str) -> None:
        """Returns once the file is gone; deletes one that was left behind. KernelError where it stays."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                return
            if found.st_dev == self.home.device or os.path.islink(path) or os.path.isdir(path):
                raise kernel_error(errno.EEXIST, self._occupied(path))
            if time.monotonic() >= deadline:
                break
            time.sleep(0.0005)
        if self._is_covered():
            raise kernel_error(
                errno.EBUSY, f"another mount covers {self.directory}, and the namespaces in it: unmount it (umount)"
            )
        if time.time() - found.st_ctime < STALE_AGE or found.st_size:
            raise kernel_error(errno.EBUSY, f"{path} is a file without a namespace, or one that is being created")
        os.unlink(path)

    def _is_covered(self) -> bool:
        """Whether something was mounted over the directory since ``ip netns`` or netd made a mount of it."""
        with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
            return sum(line.split()[4] == os.path.realpath(self.directory) for line in table) > 1
        return False

    def _occupied(self, path: str) -> str:
        """What is at the path of a name."""
        if os.path.islink(path):
            return f"{path} is a link to {os.readlink(path)}"
        return f"{path} is a directory" if os.path.isdir(path) else f"{path} is a namespace already"

    def _make(self, path: str, name: str, ipv6: bool, on_cookie: Callable[[int], None]) -> None:
        """The name comes last, in two calls with nothing slow between: other tools wait for a file without a mount."""
        netns.leave_for_new()
        try:
            if not ipv6 and os.path.isdir("/proc/sys/net/ipv6"):
                # "all" alone sets "default" and every link as well.
                with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w", encoding="ascii") as file:
                    file.write("1\n")
            on_cookie(self._loopback_up())
            self._claim(path, name)
            try:
                self.mounts.bind(netns.OWN, path)
            except OSError:
                quietly(lambda: os.unlink(path))
                raise
        finally:
            netns.enter(self.home.descriptor)

    def delete(self, name: str, cookie: int, cookie_at: Callable[[str], int | None]) -> None:
        """Unmounts and unlinks, if it still is the namespace of that cookie; already gone is success."""
        path = self.path(name)
        found = cookie_at(path)
        try:
            if found is None and os.path.lexists(path):
                # Another process has unmounted it, and unlinks it now or never.
                return self._wait_for_unlink(path, name)
            if found != cookie:
                if found is not None:
                    raise kernel_error(errno.ENOENT, f"{path} has become another namespace")
                return None
            if not os.path.islink(path):
                self.mounts.unmount(path)
            os.unlink(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise kernel_error(error.errno or errno.EIO, f"deleting namespace {name}") from None

    def state(self, name: str, source: str) -> bool | None:
        """Whether the name means what is at ``source``: True, False (not, or no longer), None (foreign)."""
        path = self.path(name)
        if not source:
            return False
        if self._is_source(path, source):
            return True
        wanted = self.home.identity(netns.source_path(source))
        here = self.home.identity(path)
        if os.path.islink(path):
            if LINK_TO_PROCESS.fullmatch(os.readlink(path)):
                return wanted is not None and here == wanted
            return None
        if here is not None and here == wanted:
            return True
        if not os.path.lexists(path) or (here is not None and self._bound.get(name) == here):
            return False
        return False if self._is_bare(path) else None

    def _is_source(self, path: str, source: str) -> bool:
        """Whether ``source`` is that entry itself, so that there is nothing to do."""
        directory, _, last = source.rpartition("/")
        return last == os.path.basename(path) and os.path.realpath(directory) == os.path.realpath(self.directory)

    def attach(self, name: str, source: str) -> None:
        """Makes the namespace known to ``ip netns``. KernelError EEXIST: a foreign entry has that name."""
        state = self.state(name, source)
        if state is None:
            raise kernel_error(errno.EEXIST, f"{self._occupied(self.path(name))}, and netd did not create it")
        if state:
            return
        identity = self.home.identity(netns.source_path(source))
        if identity is None:
            raise kernel_error(errno.ENOENT, f"namespace {name}: there is no namespace at {source}")
        pid = int(source[4:]) if source.startswith("pid:") else netns.process_inside(identity)
        with as_kernel_error(f"attaching namespace {name}"):
            self.mounts.share(self.directory)
            self._remove(name)
            self._bound.pop(name, None)
            if pid is not None:
                os.symlink(f"/proc/{pid}/ns/net", self.path(name))
            else:
                self._bind_source(name, source, identity)

    def _bind_source(self, name: str, source: str, identity: tuple[int, int]) -> None:
        path = self.path(name)
        self._claim(path, name)
        try:
            self.mounts.bind(source, path)
        except OSError:
            quietly(lambda: os.unlink(path))
            raise
        self._bound[name] = identity

    def detach(self, name: str, cookie: int, cookie_at: Callable[[str], int | None]) -> None:
        """Removes the link, or the bind mount of the namespace with that cookie; any other entry stays."""
        path = self.path(name)
        link = os.path.islink(path)
        if link and not LINK_TO_PROCESS.fullmatch(os.readlink(path)):
            return
        if not link and (not os.path.lexists(path) or cookie_at(path) != cookie):
            return
        with as_kernel_error(f"detaching namespace {name}"):
            self._remove(name)
        self._bound.pop(name, None)

    def _remove(self, name: str) -> None:
        path = self.path(name)
        try:
            if self._is_bare(path):
                self._wait_for_unlink(path, name)
                return
            if not os.path.islink(path) and self.home.is_namespace(path):
                self.mounts.unmount(path)
            os.unlink(path)
        except FileNotFoundError:
            return

    def _is_bare(self, path: str) -> bool:
        """Whether it is an empty file without a mount: another process is about to mount, or ended before it could."""
        try:
            found = os.lstat(path)
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and not found.st_size and found.st_dev != self.home.device

    def process(self, name: str) -> int | None:
        """The process that the entry's link names; None where it is no such link."""
        try:
            target = os.readlink(self.path(name))
        except OSError:
            return None
        return int(target.split("/")[2]) if LINK_TO_PROCESS.fullmatch(target) else None


def quietly(action: Callable[[], None]) -> None:
    """Ignores an OSError: cleaning up must not hide what failed before."""
    try:
        action()
    except OSError:
        return
