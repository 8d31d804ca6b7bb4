"""Watches on sysctls: inotify IN_MODIFY on the files, through the namespace's own directory.

It sees writes by user space through this machine's procfs. A watch does not keep the namespace alive, and goes silent
when its link is renamed or recreated: then the new file must be watched.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from netd.kernel import inotify
from netd.kernel.inotify import Inotify
from netd.model.invalidation import EVERYTHING, Invalidation

from .files import Sysctls


class SysctlWatch:
    """Reports Invalidation("sysctl", netns, path=path)."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self.descriptor = self._inotify.descriptor
        self.trouble = self._inotify.trouble
        #: By namespace, then by path.
        self._watches: dict[str, dict[str, int]] = {}
        # Two keys can be one file: a namespace may have two names.
        self._keys: dict[int, set[tuple[str, str]]] = {}

    def close(self) -> None:
        """Ends all watches."""
        self._inotify.close()

    def watch(self, netns: str, path: str, sysctls: Sysctls) -> None:
        """Watches the file that has this path now, instead of the one that had it before."""
        try:
            descriptor = sysctls.open(path, os.O_PATH)
        except OSError:
            self._drop((netns, path))
            return
        try:
            watch = self._inotify.add(f"/proc/self/fd/{descriptor}", inotify.IN_MODIFY)
        finally:
            os.close(descriptor)
        key = (netns, path)
        if self._watches.get(netns, {}).get(path) == watch:
            return
        self._drop(key)
        if watch is not None:
            self._watches.setdefault(netns, {})[path] = watch
            self._keys.setdefault(watch, set()).add(key)

    def _drop(self, key: tuple[str, str]) -> None:
        netns, path = key
        watch = self._watches.get(netns, {}).pop(path, None)
        if watch is None:
            return
        left = self._keys.get(watch, set())
        left.discard(key)
        if not left:
            self._keys.pop(watch, None)
            self._inotify.remove(watch)

    def forget(self, netns: str) -> None:
        """Ends all watches of one namespace."""
        for path in list(self._watches.get(netns, ())):
            self._drop((netns, path))
        self._watches.pop(netns, None)

    def drain(self, ready: Container[int]) -> Iterator[Invalidation]:
        """The keys that were written to."""
        if self.descriptor not in ready:
            return
        for event in self._inotify.events():
            if event.mask & inotify.IN_Q_OVERFLOW:
                yield EVERYTHING
            elif event.mask & inotify.IN_IGNORED:
                for netns, path in self._keys.pop(event.watch, set()):
                    watches = self._watches.get(netns, {})
                    if watches.get(path) == event.watch:
                        del watches[path]
            else:
                for netns, path in sorted(self._keys.get(event.watch, ())):
                    yield Invalidation("sysctl", netns, path=path)
