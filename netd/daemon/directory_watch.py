"""Watches the config folder (watchdog, inotify(7)), also while it is missing, deleted and made again."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

#: What reading a file causes itself.
READING = frozenset({"opened", "closed_no_write"})
#: What puts another folder, or none, in the place of one.
REPLACING = frozenset({"created", "deleted", "moved"})


class DirectoryWatch(FileSystemEventHandler):
    """Calls ``changed`` (from a thread of its own) after any change in the folder.

    ``troubled`` is told why changes may go unseen: watches are limited for each user (fs.inotify).
    """

    def __init__(self, folder: str, changed: Callable[[], None], troubled: Callable[[str], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._troubled = troubled
        self._watches: list[ObservedWatch] = []
        #: What may not be read, and so not be watched, until its owner or mode changes; the watch above hears of that.
        self._shut: set[str] = set()
        #: The folder itself, where it is a link to another; and every path of which a replacement matters.
        self._real = folder
        self._places: frozenset[str] = frozenset()
        #: The device and inode of the folder that is watched.
        self._identity = identity(folder)
        self._lock = threading.Lock()
        self._started = False
        # It complains to stderr of a watch that ended while events were under way.
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)
        try:
            self._observer = Observer()
            self._observer.start()
        except OSError as error:
            self._trouble(folder, error)
            return
        self._started = True
        self._arm()

    def _arm(self) -> None:
        """Watches the folder with all that is in it, and where it lies; or the nearest folder above that is there."""
        with self._lock:
            self._real = os.path.realpath(self._folder)
            self._identity = identity(self._folder)
            above = {nearest(os.path.dirname(path)) for path in (self._folder, self._real)}
            self._places = frozenset({self._folder, self._real, *above})
            watches, self._watches = self._watches, []
            self._shut.clear()
            for watch in watches:
                try:
                    self._observer.unschedule(watch)
                except (OSError, KeyError):
                    continue
            # From above: what is made after its parent is watched is seen.
            for path in sorted(above):
                self._watch(path, recursive=False)
            if os.path.isdir(self._real):
                self._watch(self._real, recursive=True)

    def _watch(self, path: str, *, recursive: bool) -> None:
        if not os.access(path, os.R_OK):
            self._shut.add(path)  # watchdog would say nothing, and hear nothing
            return
        try:
            self._watches.append(self._observer.schedule(self, path, recursive=recursive))
        except FileNotFoundError:
            return
        except OSError as error:
            self._trouble(path, error)

    def _trouble(self, path: str, error: OSError) -> None:
        advice = "raise fs.inotify.max_user_watches and max_user_instances, or use 'netd reload'"
        self._troubled(f"{path} cannot be watched: {error.strerror}: {advice}")

    def on_any_event(self, event: FileSystemEvent) -> None:
        """A change of the folder itself, or of something in it."""
        if event.event_type in READING:
            return
        paths = {os.fsdecode(path) for path in (event.src_path, event.dest_path) if path}
        replaced = event.event_type in REPLACING and paths & self._places
        if replaced or paths & self._shut or self._reaches(paths):
            threading.Thread(target=self._again, daemon=True).start()
        elif any(path == self._real or path.startswith(self._real + "/") for path in paths):
            self._changed()

    def _reaches(self, paths: set[str]) -> bool:
        """Whether a folder on the way to a missing one has come."""
        missing = [place for place in (self._folder, self._real) if not os.path.isdir(place)]
        return any(place.startswith(path.rstrip("/") + "/") for place in missing for path in paths - self._places)

    def _again(self) -> None:
        """The folder came or went: outside the observer's own thread, which unscheduling waits for."""
        self._arm()
        self._changed()

    def look(self) -> None:
        """Something was mounted or unmounted, which inotify does not tell: it may be over the folder."""
        if self._started and identity(self._folder) != self._identity:
            self._identity = identity(self._folder)
            threading.Thread(target=self._again, daemon=True).start()

    def close(self) -> None:
        """Ends the thread, where there is one."""
        if self._started:
            self._observer.stop()


def identity(path: str) -> tuple[int, int] | None:
    """Which folder it is; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def nearest(path: str) -> str:
    """The folder, or the nearest above it that is there."""
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    return path
