"""Namespaces that come and go: the directory of names, the mount table, and the paths of attached namespaces.

IN_CREATE comes before the mount, so a new file waits until the mount table changed. ``/proc/self/mountinfo`` says that
it changed (POLLPRI) but once per open file: one is in an epoll descriptor, for the event loop, ``Kernel.drain`` polls
the other.
"""

from __future__ import annotations

import os
import select
from collections.abc import Container, Iterator

from netd.kernel import inotify
from netd.kernel.inotify import Inotify
from netd.model.invalidation import EVERYTHING, Invalidation

from .mount import Mounts
from .setns import HomeNamespace

MOUNTS = "/proc/self/mountinfo"


class NamespaceWatch:
    """Reports Invalidation("namespace", name)."""

    def __init__(self, directory: str, home: HomeNamespace, mounts: Mounts) -> None:
        mounts.share(directory)
        self._directory = directory
        self._home = home
        self._mount_calls = mounts
        self._inotify = Inotify()
        self.trouble = self._inotify.trouble
        self._mounts = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._mounts_polled = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._mounts, select.EPOLLPRI)
        self._directory_watch = self._inotify.add(directory, inotify.ENTRIES | inotify.IN_ONLYDIR)
        #: (path, identity of the namespace there).
        self._watched: dict[str, tuple[str, tuple[int, int] | None]] = {}
        self._unready: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._ancestors: dict[int, dict[str, str]] = {}
        self._processes: dict[str, tuple[int, int]] = {}
        #: Events of names that this process creates or deletes itself: {(name, created): count}.
        self._expected: dict[tuple[str, bool], int] = {}
        self._entry_seen = False
        #: Whether the next ``drain`` has something to check, although no descriptor is readable.
        self.needs_drain = False

    def descriptors(self) -> list[int]:
        """For the event loop."""
        return [self._inotify.descriptor, self._epoll.fileno()]

    def poll_events(self) -> dict[int, int]:
        """{descriptor: events of poll(2)}, of which ``drain`` is to know the readable ones."""
        return {
            self._inotify.descriptor: select.POLLIN,
            self._epoll.fileno(): select.POLLIN,
            self._mounts_polled: select.POLLPRI,
        }

    def close(self) -> None:
        """Stops watching."""
        for name in list(self._processes):
            self.watch_process(name, None)
        self._epoll.close()
        self._inotify.close()
        os.close(self._mounts)
        os.close(self._mounts_polled)

    def watch(self, netns: str, path: str) -> None:
        """Reports when nothing, or another namespace, is mounted at ``path``."""
        self._watched[netns] = (path, self._home.identity(path))

    def forget(self, netns: str) -> None:
        """Stops watching that name."""
        self._watched.pop(netns, None)
        self._unready.pop(netns, None)

    def expect(self, netns: str, created: bool) -> None:
        """The next such event of that name is netd's own, and not reported."""
        self._expected[netns, created] = self._expected.get((netns, created), 0) + 1
        self._entry_seen = True

    def follow(self, netns: str, source: str) -> None:
        """Reports when a namespace appears at ``source`` or is removed there; "" ends that."""
        self._sources.pop(netns, None)
        for names in self._ancestors.values():
            names.pop(netns, None)
        if source:
            self._sources[netns] = source
            if not source.startswith("pid:"):
                self._arm(netns, source)

    def _arm(self, netns: str, path: str) -> None:
        """Watches the nearest existing directory above ``path``, for the next part of the path."""
        parent, name = os.path.split(path)
        while True:
            watch = self._inotify.add(os.path.realpath(parent), inotify.ENTRIES | inotify.IN_ONLYDIR)
            if watch is not None:
                self._ancestors.setdefault(watch, {})[netns] = name
                return
            if parent in ("", "/"):
                return
            parent, name = os.path.split(parent)

    def watch_process(self, netns: str, pid: int | None) -> None:
        """Reports when the process ends by which an attached namespace is known; None ends that."""
        known = self._processes.get(netns)
        if known is not None:
            if known[0] == pid:
                return
            del self._processes[netns]
            self._epoll.unregister(known[1])
            os.close(known[1])
        if pid is None:
            return
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return
        self._epoll.register(descriptor, select.EPOLLIN)
        self._processes[netns] = (pid, descriptor)

    def drain(self, ready: Container[int]) -> Iterator[Invalidation]:
        """The namespaces that came, were removed, or changed."""
        for event in self._inotify.events() if self._inotify.descriptor in ready else ():
            if event.mask & inotify.IN_Q_OVERFLOW:
                yield EVERYTHING
            elif event.watch == self._directory_watch:
                yield from self._entry(event)
            yield from self._step(event)
        if self._processes:
            ended = {descriptor for descriptor, _ in self._epoll.poll(0)}
            for netns in [name for name, (_, descriptor) in self._processes.items() if descriptor in ended]:
                self.watch_process(netns, None)
                yield Invalidation("namespace", netns)
        if self._mounts_polled in ready:
            yield from self._mounts_changed()
        elif self.needs_drain:
            self.needs_drain = False
            yield from self._remounted()

    def _entry(self, event: inotify.Event) -> Iterator[Invalidation]:
        """An event of the directory of names."""
        name = event.name
        created = bool(event.mask & (inotify.IN_CREATE | inotify.IN_MOVED_TO))
        if event.mask & (inotify.IN_DELETE_SELF | inotify.IN_IGNORED):
            self._mount_calls.share(self._directory)
            self._directory_watch = self._inotify.add(self._directory, inotify.ENTRIES | inotify.IN_ONLYDIR)
            yield EVERYTHING
            return
        if not name:
            return
        self._entry_seen = True
        expected = self._expected.get((name, created), 0)
        if expected:
            self._expected[name, created] = expected - 1
            if expected == 1:
                del self._expected[name, created]
            return
        path = f"{self._directory}/{name}"
        self._unready.pop(name, None)
        if created and not self._home.is_namespace(path):
            self._unready[name] = path
        else:
            yield Invalidation("namespace", name)

    def _step(self, event: inotify.Event) -> Iterator[Invalidation]:
        """An event of a directory above an attached namespace."""
        waiting = self._ancestors.get(event.watch)
        if not waiting:
            return
        gone = event.mask & (inotify.IN_IGNORED | inotify.IN_DELETE_SELF)
        for netns in [netns for netns, name in waiting.items() if gone or name == event.name]:
            source = self._sources.get(netns)
            if source is None:
                continue
            waiting.pop(netns, None)
            self._arm(netns, source)
            self._entry_seen = True
            if os.path.lexists(source) and not self._home.is_namespace(source):
                self._unready[netns] = source
            else:
                yield Invalidation("namespace", netns)

    def _mounts_changed(self) -> Iterator[Invalidation]:
        """New files have become namespaces, or a watched namespace was unmounted and its file left behind."""
        for netns, path in list(self._unready.items()):
            if self._home.is_namespace(path):
                del self._unready[netns]
                yield Invalidation("namespace", netns)
        # The entry that came or went may explain the change. If not, the file of a namespace has lost its mount, or is
        # covered by another one: all have to be checked, which the next drain does, after repairs that cannot wait.
        self.needs_drain = self._entry_seen
        self._entry_seen = False
        if not self.needs_drain:
            yield from self._remounted()

    def _remounted(self) -> Iterator[Invalidation]:
        """The watched names at which another namespace, or none, is mounted now."""
        for netns, (path, identity) in self._watched.items():
            if self._home.identity(path) != identity:
                yield Invalidation("namespace", netns)
