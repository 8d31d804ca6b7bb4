"""Files below /etc/netns: reading, writing, and noticing what others do to them.

A file is written in place, not replaced: ``ip netns exec`` binds it over the one in /etc, and who runs there sees the
new content only in the same file.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Container, Iterator

from netd.kernel import inotify
from netd.kernel.inotify import Inotify
from netd.model.invalidation import EVERYTHING, Invalidation

DIRECTORY = "/etc/netns"
#: The files that netd writes there.
NAMES = ("hosts", "resolv.conf")
WATCHED = inotify.ENTRIES | inotify.IN_CLOSE_WRITE | inotify.IN_MOVE_SELF | inotify.IN_ONLYDIR
GONE = inotify.IN_IGNORED | inotify.IN_MOVE_SELF


def read(path: str) -> str | None:
    """The content; None where there is none, "" for what is no plain file."""
    full = f"{DIRECTORY}/{path}"
    try:
        if not stat.S_ISREG(os.lstat(full).st_mode):
            return ""
        with open(full, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def paths() -> list[str]:
    """All files of these names, as NAMESPACE/NAME."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for entry in sorted(os.listdir(DIRECTORY)):
            found += [f"{entry}/{name}" for name in NAMES if os.path.lexists(f"{DIRECTORY}/{entry}/{name}")]
    return found


def write(path: str, text: str, *, new: bool) -> None:
    """Writes the whole file; ``new``: FileExistsError where there is one. OSError."""
    full = f"{DIRECTORY}/{path}"
    for directory in (DIRECTORY, os.path.dirname(full)):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o755)
            os.chmod(directory, 0o755)  # whatever the umask of the service is
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_EXCL if new else 0)
    descriptor = os.open(full, flags, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        if new:
            os.fchmod(descriptor, 0o644)
        # What comes first is the mark, before and after: at no moment is it a file of others.
        file.write(text.encode())
        file.flush()
        os.ftruncate(descriptor, file.tell())


def delete(path: str) -> None:
    """Removes a file, and its directory if that is empty then. OSError."""
    full = f"{DIRECTORY}/{path}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(full)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(full))


class EtcWatch:
    """Reports Invalidation("files", path=NAMESPACE/NAME) for the directories that were read."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self.descriptor = self._inotify.descriptor
        self.trouble = self._inotify.trouble
        #: Directories by their watches: "" is that of all namespaces, and None the one above it.
        self._watches: dict[int, str | None] = {}
        self._known: set[str] = set()

    def close(self) -> None:
        """Ends all watches."""
        self._inotify.close()

    def watch(self, path: str) -> None:
        """From now on changes of the file are reported, also if its directory comes later."""
        netns = path.partition("/")[0]
        self._known.add(netns)
        if self._add(f"{DIRECTORY}/{netns}", netns) and "" in self._watches.values():
            return
        if not self._add(DIRECTORY, ""):
            self._add(os.path.dirname(DIRECTORY), None)

    def _add(self, directory: str, what: str | None) -> bool:
        watch = self._inotify.add(directory, WATCHED)
        if watch is not None:
            self._watches[watch] = what
        return watch is not None

    def drain(self, ready: Container[int]) -> Iterator[Invalidation]:
        """The files that may have changed."""
        if self.descriptor not in ready:
            return
        for event in self._inotify.events():
            if event.mask & inotify.IN_Q_OVERFLOW:
                yield EVERYTHING
            elif event.watch in self._watches:
                yield from self._changed(event)

    def _changed(self, event: inotify.Event) -> Iterator[Invalidation]:
        what = self._watches[event.watch]
        if event.mask & GONE:
            del self._watches[event.watch]
        if event.mask & inotify.IN_MOVE_SELF:
            self._inotify.remove(event.watch)
        if what is None or (what == "" and event.mask & GONE):
            again = sorted(self._known) if what == "" or event.name == os.path.basename(DIRECTORY) else []
        elif what == "":
            again = [event.name] if event.name in self._known else []
        else:
            if event.name in NAMES:
                yield Invalidation("files", path=f"{what}/{event.name}")
            return
        for netns in again:
            self.watch(netns)
            yield from (Invalidation("files", path=f"{netns}/{name}") for name in NAMES)
