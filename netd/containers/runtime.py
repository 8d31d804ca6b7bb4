"""What the engines have in common: what is known of each container, and the thread that keeps it true.

A thread, because an engine may answer late or never, and repairs do not wait for that.
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
#: Said of an answer, after whose it is.
STRANGE = "answer cannot be parsed"
#: Seconds until something is tried again that should not have gone wrong.
PAUSE = 10.0
#: Digits of a container's number that stand for it: fewer may be the beginning of any other's.
ENOUGH_DIGITS = 12
#: More bits than a process number has.
LARGEST_PID = 1 << 22


class ContainerRuntime(ABC):
    """One engine. ``title`` is its name in messages."""

    title: str

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, AttachTarget] = {}
        self._wanted: frozenset[str] = frozenset()
        self._told: Callable[[str], None] | None = None
        self._thread: threading.Thread | None = None
        #: Wakes the thread; made with it, so that commands need none.
        self._wake = -1
        #: {path of a place: descriptor of that process}.
        self._held: dict[str, int] = {}

    @abstractmethod
    def ask(self, name: str) -> AttachTarget:
        """What the engine says of a container now; blocks for a moment at most."""

    def answer(self, name: str) -> AttachTarget:
        """The same, whatever comes of it: what a look-up throws is said of this container alone.

        An engine's answers, its files and the names in them are others' text; where it was found last is kept.
        """
        try:
            return self.ask(name)
        except Exception as error:
            return away(self.known(name), f"{self.title}'s {STRANGE}: {error or type(error).__name__}")

    @abstractmethod
    def run(self) -> None:
        """Keeps ``put`` informed of all that is ``wanted``; returns once that is nothing."""

    def locate(self, name: str) -> AttachTarget:
        """What is known of a container."""
        with self._lock:
            known = self._places.get(name)
        if known is None and self._told is None:
            known = self._places[name] = self.answer(name)
        return known or AttachTarget("", f"{self.title} has not answered yet")

    def start(self, told: Callable[[str], None]) -> None:
        """From now on changes are told, by name, and nothing blocks."""
        self._told = told

    def follow(self, names: Collection[str]) -> None:
        """The containers to keep an eye on."""
        with self._lock:
            if self._told is None or names == self._wanted:
                return
            self._wanted = frozenset(names)
            self._places = {name: place for name, place in self._places.items() if name in names}
            if self._wanted and self._thread is None:
                if self._wake < 0:
                    self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                self._thread = threading.Thread(target=self._work, name=self.title, daemon=True)
                self._thread.start()
            else:
                self._ring()

    def close(self) -> None:
        """The thread ends by itself, soon."""
        self._told = None
        with self._lock:
            self._wanted = frozenset()
            self._ring()

    def _ring(self) -> None:
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    # in the thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            try:
                self.run()
            except Exception as error:
                # A thread that ends would wait for nothing, for ever.
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
        """What was last put, or asked."""
        with self._lock:
            return self._places.get(name)

    def put(self, name: str, place: AttachTarget) -> None:
        """Keeps what is true of a container; tells, if it is news."""
        with self._lock:
            if name not in self._wanted or self._places.get(name) == place:
                return
            self._places[name] = place
            told = self._told
        if told is not None:
            told(name)

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
        """Keeps a descriptor of each process that stands for a container: its number may be another's later."""
        with self._lock:
            needed = {place.path for place in self._places.values() if place.path}
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
    """What is left to believe while an engine cannot be asked: a container may run on without it."""
    return AttachTarget(known.path if known is not None else "", why)


def means(name: str, number: str, names: Collection[str]) -> bool:
    """Whether a name is one of a container's, or as much of its number as is surely no other's."""
    return name in names or (len(name) >= ENOUGH_DIGITS and number.startswith(name))


def target_of(pid: int) -> AttachTarget:
    """The namespace of a container's first process: it is there as long as the container runs, and no longer.

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
