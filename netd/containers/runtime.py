"""Common to all engines: the known location of each container, and the thread that updates it.

It is a thread, because an engine may answer late or never, and repairs must not wait for it.
"""

from __future__ import annotations

import os
import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from contextlib import suppress

from netd.model.attach import AttachTarget

OWN = "/proc/thread-self/ns/net"
NOT_RUNNING = "the container is not running"
NO_CONTAINER = "there is no such container"
ON_THE_HOST = "the container shares the network of the host"
#: The end of a message about an invalid answer.
STRANGE = "answer cannot be parsed"
#: Seconds until the thread is started again after an unexpected error.
PAUSE = 10.0
#: The digits of a container's ID that are enough to name it: fewer may be ambiguous.
ENOUGH_DIGITS = 12
#: More bits than a process number has.
LARGEST_PID = 1 << 22


class ContainerRuntime(ABC):
    """One engine. ``title`` is its name in messages."""

    title: str

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locations: dict[str, AttachTarget] = {}
        self._wanted: frozenset[str] = frozenset()
        self._report: Callable[[str], None] | None = None
        self._thread: threading.Thread | None = None
        #: Wakes the thread; made with it, so that commands need none.
        self._wake = -1
        #: {path of a location: descriptor of that process}.
        self._held: dict[str, int] = {}

    @abstractmethod
    def ask(self, name: str) -> AttachTarget:
        """Asks the engine about a container; blocks for a moment at most."""

    def answer(self, name: str) -> AttachTarget:
        """The same, for any error: an exception is reported as the reason of this container alone.

        The answers and files of an engine are untrusted input. The last known location is kept.
        """
        try:
            return self.ask(name)
        except Exception as error:
            return away(self.known(name), f"{self.title}'s {STRANGE}: {error or type(error).__name__}")

    @abstractmethod
    def run(self) -> None:
        """Calls ``put`` for changes of all that is ``wanted``; returns once nothing is."""

    def locate(self, name: str) -> AttachTarget:
        """What is known of a container."""
        with self._lock:
            known = self._locations.get(name)
        if known is None and self._report is None:
            known = self._locations[name] = self.answer(name)
        return known or AttachTarget("", f"{self.title} has not answered yet")

    def start(self, report: Callable[[str], None]) -> None:
        """From now on changes are reported by name, and nothing blocks."""
        self._report = report

    def follow(self, names: Collection[str]) -> None:
        """The containers to keep an eye on."""
        with self._lock:
            if self._report is None or names == self._wanted:
                return
            self._wanted = frozenset(names)
            self._locations = {name: location for name, location in self._locations.items() if name in names}
            if self._wanted and self._thread is None:
                if self._wake < 0:
                    self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                self._thread = threading.Thread(target=self._work, name=self.title, daemon=True)
                self._thread.start()
            else:
                self._ring()

    def close(self) -> None:
        """The thread ends by itself, soon."""
        self._report = None
        with self._lock:
            self._wanted = frozenset()
            self._ring()

    def _ring(self) -> None:
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    # In the thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            try:
                self.run()
            except Exception as error:
                # If the thread ended, nothing would update the containers any more.
                for name in self.wanted():
                    self.put(name, away(self.known(name), f"{self.title} cannot be watched: {error}"))
                self.wait((), PAUSE)
            with self._lock:
                if not self._wanted:
                    for descriptor in self._held.values():
                        os.close(descriptor)
                    self._held = {}
                    self._thread = None
                    return

    def wanted(self) -> frozenset[str]:
        """The containers that matter now."""
        with self._lock:
            return self._wanted

    def known(self, name: str) -> AttachTarget | None:
        """The last known location."""
        with self._lock:
            return self._locations.get(name)

    def put(self, name: str, location: AttachTarget) -> None:
        """Stores the location of a container; reports it if it changed."""
        with self._lock:
            if name not in self._wanted or self._locations.get(name) == location:
                return
            self._locations[name] = location
            report = self._report
        if report is not None:
            report(name)

    def wait(self, descriptors: Collection[int], seconds: float | None) -> set[int]:
        """Which of these can be read; returns early where what is wanted changed, or a container ended."""
        self._hold()
        poll = select.poll()
        for descriptor in (self._wake, *descriptors, *self._held.values()):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000)}
        if self._wake in ready:
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)
        for path in [path for path, descriptor in self._held.items() if descriptor in ready]:
            self._ended(path)
        return ready.intersection(descriptors)

    def _hold(self) -> None:
        """Keeps a pidfd of each container's first process: its PID may be reused later."""
        with self._lock:
            needed = {location.path for location in self._locations.values() if location.path}
        for path in self._held.keys() - needed:
            os.close(self._held.pop(path))
        for path in needed - self._held.keys():
            try:
                self._held[path] = os.pidfd_open(int(path.removeprefix("pid:")))
            except ProcessLookupError:
                self._ended(path)
            except OSError:
                continue

    def _ended(self, path: str) -> None:
        for name in self.wanted():
            known = self.known(name)
            if known is not None and known.path == path:
                self.put(name, AttachTarget("", NOT_RUNNING))


def away(known: AttachTarget | None, why: str) -> AttachTarget:
    """What is still known while an engine does not answer: a container may keep running without it."""
    return AttachTarget(known.path if known is not None else "", why)


def means(name: str, number: str, names: Collection[str]) -> bool:
    """Whether a name is one of a container's, or a long enough prefix of its ID."""
    return name in names or (len(name) >= ENOUGH_DIGITS and number.startswith(name))


def target_of(pid: int) -> AttachTarget:
    """The namespace of a container's first process: it exists exactly as long as the container runs.

    ValueError: the engine names no process.
    """
    if not isinstance(pid, int) or not 0 < pid <= LARGEST_PID:
        raise ValueError("it is no process")
    try:
        found = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return AttachTarget("", NOT_RUNNING)
    return (
        AttachTarget("", ON_THE_HOST)
        if os.path.samestat(found, os.stat(OWN))
        else AttachTarget(f"pid:{pid}", NOT_RUNNING)
    )
