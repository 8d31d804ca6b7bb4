"""Where namespaces appear and vanish: the folder of names, the mount table, the places of attached ones.

IN_CREATE comes before the mount, so a new file waits until the mount table changed. ``/proc/self/mountinfo`` says that
it changed (POLLPRI) but once per open file: one lies in an epoll descriptor, for the event loop, another is asked here.
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
    """Reports Dirty("namespace", name)."""

    def __init__(self, folder: str, home: HomeNamespace, mounts: Mounts) -> None:
        mounts.share(folder)
        self._folder = folder
        self._home = home
        self._mount_calls = mounts
        self._inotify = Inotify()
        self._mounts = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._mounts_asked = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._mounts, select.EPOLLPRI)
        self._folder_watch = self._inotify.add(folder, inotify.ENTRIES | inotify.IN_ONLYDIR)
        #: (path, identity of the namespace there).
        self._watched: dict[str, tuple[str, tuple[int, int] | None]] = {}
        self._unready: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._ancestors: dict[int, dict[str, str]] = {}
        self._processes: dict[str, tuple[int, int]] = {}
        #: Names that this process makes or deletes itself: so many events of each are its own.
        self._own: dict[tuple[str, bool], int] = {}
        self._explained = False
        #: Whether the next ``drain`` has something to look at, though no descriptor says so.
        self.restless = False

    def descriptors(self) -> list[int]:
        """For the event loop."""
        return [self._inotify.descriptor, self._epoll.fileno()]

    def asked(self) -> dict[int, int]:
        """{descriptor: events of poll(2)}, to be asked for ``drain``."""
        return {
            self._inotify.descriptor: select.POLLIN,
            self._epoll.fileno(): select.POLLIN,
            self._mounts_asked: select.POLLPRI,
        }

    def close(self) -> None:
        """Ends it."""
        for name in list(self._processes):
            self.watch_process(name, None)
        self._epoll.close()
        self._inotify.close()
        os.close(self._mounts)
        os.close(self._mounts_asked)

    def watch(self, netns: str, path: str) -> None:
        """Reports when nothing, or another namespace, is mounted at ``path``."""
        self._watched[netns] = (path, self._home.identity(path))

    def forget(self, netns: str) -> None:
        """Ends that."""
        self._watched.pop(netns, None)
        self._unready.pop(netns, None)

    def own(self, netns: str, created: bool) -> None:
        """The next such event of that name is no news."""
        self._own[netns, created] = self._own.get((netns, created), 0) + 1
        self._explained = True

    def follow(self, netns: str, source: str) -> None:
        """Reports when something appears at the place of an attached namespace, or goes; "" ends that."""
        self._sources.pop(netns, None)
        for names in self._ancestors.values():
            names.pop(netns, None)
        if source:
            self._sources[netns] = source
            if not source.startswith("pid:"):
                self._arm(netns, source)

    def _arm(self, netns: str, path: str) -> None:
        """Watches the nearest folder above ``path`` that exists, for the next part of the way."""
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
        """Which namespaces came, went or changed."""
        for event in self._inotify.events() if self._inotify.descriptor in ready else ():
            if event.mask & inotify.IN_Q_OVERFLOW:
                yield EVERYTHING
            elif event.watch == self._folder_watch:
                yield from self._entry(event)
            yield from self._way(event)
        if self._processes:
            ended = {descriptor for descriptor, _ in self._epoll.poll(0)}
            for netns in [name for name, (_, descriptor) in self._processes.items() if descriptor in ended]:
                self.watch_process(netns, None)
                yield Invalidation("namespace", netns)
        if self._mounts_asked in ready:
            yield from self._mounts_changed()
        elif self.restless:
            self.restless = False
            yield from self._uncovered()

    def _entry(self, event: inotify.Event) -> Iterator[Invalidation]:
        """An entry of the folder of names."""
        name = event.name
        created = bool(event.mask & (inotify.IN_CREATE | inotify.IN_MOVED_TO))
        if event.mask & (inotify.IN_DELETE_SELF | inotify.IN_IGNORED):
            self._mount_calls.share(self._folder)
            self._folder_watch = self._inotify.add(self._folder, inotify.ENTRIES | inotify.IN_ONLYDIR)
            yield EVERYTHING
            return
        if not name:
            return
        self._explained = True
        own = self._own.get((name, created), 0)
        if own:
            self._own[name, created] = own - 1
            if own == 1:
                del self._own[name, created]
            return
        path = f"{self._folder}/{name}"
        self._unready.pop(name, None)
        if created and not self._home.is_namespace(path):
            self._unready[name] = path
        else:
            yield Invalidation("namespace", name)

    def _way(self, event: inotify.Event) -> Iterator[Invalidation]:
        """A step on the way to an attached namespace."""
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
            self._explained = True
            if os.path.lexists(source) and not self._home.is_namespace(source):
                self._unready[netns] = source
            else:
                yield Invalidation("namespace", netns)

    def _mounts_changed(self) -> Iterator[Invalidation]:
        """New files are namespaces by now, or a watched one was unmounted and its file left behind."""
        for netns, path in list(self._unready.items()):
            if self._home.is_namespace(path):
                del self._unready[netns]
                yield Invalidation("namespace", netns)
        # An entry that came or went may be all there is to it. If not, the file of one is bare now, or covered: who
        # tells has to look at all of them, and does so after what is known to be wrong was mended.
        self.restless = self._explained
        self._explained = False
        if not self.restless:
            yield from self._uncovered()

    def _uncovered(self) -> Iterator[Invalidation]:
        """Those of which the mount is not the one that it was."""
        for netns, (path, identity) in self._watched.items():
            if self._home.identity(path) != identity:
                yield Invalidation("namespace", netns)
