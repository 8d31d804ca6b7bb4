"""Watches the config folder (watchdog, inotify(7)), also while it is missing, deleted and made again."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

#: What reading a file causes itself.
READING = frozenset({"opened", "closed_no_write"})


class FolderWatch(FileSystemEventHandler):
    """Calls ``changed`` (from a thread of its own) after any change in the folder."""

    def __init__(self, folder: str, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._watches: dict[str, ObservedWatch] = {}
        self._lock = threading.Lock()
        self._observer = Observer()
        self._observer.start()
        self._arm()

    def _arm(self) -> None:
        """Watches the folder and its parent, or the nearest parent that is there."""
        with self._lock:
            wanted = {self._folder, os.path.dirname(self._folder)}
            while not any(os.path.isdir(path) for path in wanted):
                wanted = {os.path.dirname(path) for path in wanted}
            for path in list(self._watches):
                self._disarm(path)
            for path in wanted:
                with contextlib.suppress(OSError):
                    self._watches[path] = self._observer.schedule(self, path)

    def _disarm(self, path: str) -> None:
        with contextlib.suppress(OSError, KeyError):
            self._observer.unschedule(self._watches.pop(path))

    def on_any_event(self, event: FileSystemEvent) -> None:
        """A change of the folder itself, or of a file in it."""
        if event.event_type in READING:
            return
        paths = {os.fsdecode(path) for path in (event.src_path, event.dest_path) if path}
        if any(os.path.dirname(path) == self._folder for path in paths):
            self._changed()
        elif any(self._folder == path or self._folder.startswith(path.rstrip("/") + "/") for path in paths):
            threading.Thread(target=self._again, daemon=True).start()

    def _again(self) -> None:
        """The folder came or went: outside the observer's own thread, which unscheduling waits for."""
        self._arm()
        self._changed()

    def close(self) -> None:
        """Ends the thread."""
        self._observer.stop()
