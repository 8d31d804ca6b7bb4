"""Watches the configuration directory (watchdog, inotify(7)), also while it is missing, deleted and created again."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

#: Events that are caused by reading a file.
READING = frozenset({"opened", "closed_no_write"})
#: Events after which another directory, or none, is in the place of one.
REPLACING = frozenset({"created", "deleted", "moved"})


class DirectoryWatch(FileSystemEventHandler):
    """Calls ``changed`` (from a thread of its own) after any change in the directory.

    ``failed`` gets the reason why changes may be missed: watches are limited for each user (fs.inotify).
    """

    def __init__(self, directory: str, changed: Callable[[], None], failed: Callable[[str], None]) -> None:
        self._directory = directory
        self._changed = changed
        self._failed = failed
        self._watches: list[ObservedWatch] = []
        #: What may not be read, and so not be watched, until its owner or mode changes; the watch above reports that.
        self._unreadable: set[str] = set()
        #: The directory itself, if its path is a link to it; and all paths whose replacement matters.
        self._real = directory
        self._watched_paths: frozenset[str] = frozenset()
        #: The device and inode of the directory that is watched.
        self._identity = identity(directory)
        self._lock = threading.Lock()
        self._started = False
        # It writes to stderr if a watch ends while events are queued.
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)
        try:
            self._observer = Observer()
            self._observer.start()
        except OSError as error:
            self._report(directory, error)
            return
        self._started = True
        self._arm()

    def _arm(self) -> None:
        """Watches the directory with its contents, and its parent; or the nearest existing directory above."""
        with self._lock:
            self._real = os.path.realpath(self._directory)
            self._identity = identity(self._directory)
            above = {nearest(os.path.dirname(path)) for path in (self._directory, self._real)}
            self._watched_paths = frozenset({self._directory, self._real, *above})
            watches, self._watches = self._watches, []
            self._unreadable.clear()
            for watch in watches:
                try:
                    self._observer.unschedule(watch)
                except (OSError, KeyError):
                    continue
            # From above: what is created after its parent is watched is reported.
            for path in sorted(above):
                self._watch(path, recursive=False)
            if os.path.isdir(self._real):
                self._watch(self._real, recursive=True)

    def _watch(self, path: str, *, recursive: bool) -> None:
        if not os.access(path, os.R_OK):
            self._unreadable.add(path)  # watchdog would report neither this nor any event
            return
        try:
            self._watches.append(self._observer.schedule(self, path, recursive=recursive))
        except FileNotFoundError:
            return
        except OSError as error:
            self._report(path, error)

    def _report(self, path: str, error: OSError) -> None:
        advice = "raise fs.inotify.max_user_watches and max_user_instances, or use 'netd reload'"
        self._failed(f"{path} cannot be watched: {error.strerror}: {advice}")

    def on_any_event(self, event: FileSystemEvent) -> None:
        """A change of the directory itself, or of something in it."""
        if event.event_type in READING:
            return
        paths = {os.fsdecode(path) for path in (event.src_path, event.dest_path) if path}
        replaced = event.event_type in REPLACING and paths & self._watched_paths
        if replaced or paths & self._unreadable or self._leads_to_missing(paths):
            threading.Thread(target=self._rearm, daemon=True).start()
        elif any(path == self._real or path.startswith(self._real + "/") for path in paths):
            self._changed()

    def _leads_to_missing(self, paths: set[str]) -> bool:
        """Whether a directory on the path to a missing one was created."""
        missing = [path for path in (self._directory, self._real) if not os.path.isdir(path)]
        parents = [path.rstrip("/") + "/" for path in paths - self._watched_paths]
        return any(path.startswith(parent) for path in missing for parent in parents)

    def _rearm(self) -> None:
        """The directory appeared or disappeared. Not in the observer's own thread: unscheduling waits for that."""
        self._arm()
        self._changed()

    def look(self) -> None:
        """Something was mounted or unmounted, which inotify does not report: it may be over the directory."""
        if self._started and identity(self._directory) != self._identity:
            self._identity = identity(self._directory)
            threading.Thread(target=self._rearm, daemon=True).start()

    def close(self) -> None:
        """Ends the thread, if there is one."""
        if self._started:
            self._observer.stop()


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a directory; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def nearest(path: str) -> str:
    """The directory, or the nearest existing one above it."""
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    return path
