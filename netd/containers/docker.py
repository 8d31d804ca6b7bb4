"""Docker: its events name the containers that changed, and netd then asks about each of these.

Often systemd holds its socket, and starts Docker when a process connects. An operator who stopped Docker does not want
netd to start it again, so netd does not connect to such a socket while Docker does not run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterable, Set
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

from netd.kernel import inotify
from netd.kernel.inotify import Inotify
from netd.model.attach import AttachTarget

from .http import BadAnswer, Lines, dial, get
from .listening import listeners
from .runtime import NO_CONTAINER, NOT_RUNNING, STRANGE, ContainerRuntime, away, means, target_of

DIRECTORY = "/run"
#: Seconds that one answer may take.
PATIENCE = 2.0
#: Seconds between two attempts at an engine that runs but fails: the first, the longest. Where none runs,
#: its files are watched, and the longest is for what they do not show.
RETRY_FIRST, RETRY_LONGEST = 0.1, 60.0
#: The events that can change the location of a container. Not all events: health checks can run every second.
ACTIONS = ("create", "start", "die", "destroy", "rename")
NOT_THERE = "Docker is not running"
SILENT = "Docker does not answer"
#: No answer in time, or a queue that is full.
LATE = (TimeoutError, BlockingIOError)


class Docker(ContainerRuntime):
    """``directory`` has the socket of the engine and the file with its process."""

    title = "Docker"

    def __init__(self, directory: str = DIRECTORY) -> None:
        super().__init__()
        self._directory = directory
        self._socket = f"{directory}/docker.sock"
        self._pid_file = f"{directory}/docker.pid"
        #: It did not answer a request: the next ones of the same pass do not wait again.
        self._hangs = False

    # Requests --------------------------------------------------------------------------------------------------

    def ask(self, name: str) -> AttachTarget:
        known = self.known(name)
        if self._hangs:
            return away(known, SILENT)
        if not self._is_there():
            return away(known, NOT_THERE)
        try:
            status, body = get(self._socket, f"/containers/{quote(name)}/json", PATIENCE)
            if status == 404:
                return AttachTarget("", NO_CONTAINER)
            if status != 200:
                return away(known, f"Docker answers with status {status}")
            answer = json.loads(body)
            # Docker itself accepts any prefix of an ID as a name.
            if not means(name, answer["Id"], [answer["Name"].removeprefix("/")]):
                return AttachTarget("", NO_CONTAINER)
            return location(answer)
        except LATE:
            self._hangs = True
            return away(known, SILENT)
        except OSError as error:
            return away(known, f"{NOT_THERE} ({self._socket}: {error.strerror})")

    def _is_there(self) -> bool:
        """Whether a connection would not start Docker."""
        return os.path.exists(self._socket) and accepts(self._socket, self._pid_file)

    # Watching -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        pause = RETRY_FIRST
        with closing(Inotify()) as watch:
            # Watched before the check, so that no later change is missed.
            watch.add(self._directory, inotify.ENTRIES | inotify.IN_CLOSE_WRITE | inotify.IN_ONLYDIR)
            while wanted := self.wanted():
                if not self._is_there():
                    self._all_away(NOT_THERE)
                    self._wait(watch, wanted, RETRY_LONGEST)
                    continue
                began = time.monotonic()
                self._follow()
                lasted = time.monotonic() - began > pause
                pause = RETRY_FIRST if lasted else min(pause * 2, RETRY_LONGEST)
                self._wait(watch, self.wanted(), pause)

    def _wait(self, watch: Inotify, wanted: Set[str], seconds: float) -> None:
        """Until something happens to the files of the engine, or others than these are wanted."""
        until = time.monotonic() + seconds
        while wanted and self.wanted() == wanted and (left := until - time.monotonic()) > 0:
            self.wait([watch.descriptor], left)
            if any(event.name in ("docker.sock", "docker.pid") for event in watch.events()):
                return

    def _all_away(self, why: str) -> None:
        for name in self.wanted():
            self.put(name, away(self.known(name), why))

    def _follow(self) -> None:
        """One connection, until it ends."""
        try:
            # A second ago: the events begin a moment after the answer does.
            with dial(self._socket, events_since(time.time() - 1), PATIENCE) as connection:
                lines = Lines(connection)
                self._listen(lines, connection.fileno())
        except LATE:
            self._all_away(SILENT)
        except (EOFError, OSError):
            self._all_away(NOT_THERE)
        except BadAnswer as error:
            self._all_away(f"{self.title}'s {STRANGE}: {error}")

    def _listen(self, lines: Lines, descriptor: int) -> None:
        """Asks about all, then about what events name, until nothing is wanted. EOFError, OSError, BadAnswer."""
        self._begin(lines, descriptor)
        due: set[str] = set()
        seen: frozenset[str] = frozenset()
        pause = RETRY_FIRST
        while wanted := self.wanted():
            due = self._look((due | (wanted - seen)) & wanted)
            seen = wanted
            pause = min(pause * 2, RETRY_LONGEST) if due else RETRY_FIRST
            if descriptor in self.wait([descriptor], pause if due else None):
                due = due.union(*(concerned(line, wanted) for line in lines.read()))

    def _begin(self, lines: Lines, descriptor: int) -> None:
        """Waits for the start of the answer: no event comes before it. If that takes long, Docker starts or hangs."""
        late = time.monotonic() + PATIENCE
        while self.wanted() and lines.status is None:
            left = late - time.monotonic()
            if left <= 0:
                self._all_away(SILENT)
            if descriptor in self.wait([descriptor], left if left > 0 else None):
                lines.read()
        if lines.status not in (None, 200):
            raise BadAnswer(f"status {lines.status}")

    def _look(self, names: Iterable[str]) -> set[str]:
        """Asks about these; returns those without an answer."""
        silent = set()
        self._hangs = False
        for name in names:
            found = self.answer(name)
            self.put(name, found)
            if found.waits_for == SILENT:
                silent.add(name)
        return silent


def events_since(moment: float) -> str:
    """The request for the events of all containers from a time on."""
    wanted = json.dumps({"type": ["container"], "event": ACTIONS})
    return f"/events?since={moment:.3f}&filters={quote(wanted)}"


def concerned(line: bytes, wanted: Collection[str]) -> set[str]:
    """The containers that an event is about."""
    with suppress(ValueError, LookupError, AttributeError, TypeError, RecursionError):
        actor = json.loads(line)["Actor"]
        about = actor["Attributes"]
        names = {about.get("name", ""), about.get("oldName", "").lstrip("/")}
        return {name for name in wanted if means(name, actor["ID"], names)}
    return set()


def location(answer: Any) -> AttachTarget:
    """The location of a container, from Docker's answer. KeyError, TypeError: the answer has another form."""
    state = answer["State"]
    return target_of(state["Pid"]) if state["Running"] and state["Pid"] else AttachTarget("", NOT_RUNNING)


def accepts(path: str, pid_file: str) -> bool:
    """Whether a connection to a socket starts nothing: systemd does not listen on it, or Docker does, too.

    Docker stops listening some seconds before it ends: a connection would then start it again.
    """
    numbers = listeners(path)
    if not numbers & descriptors(1):
        return True
    with suppress(OSError, ValueError), open(pid_file, encoding="ascii") as file:
        return bool(numbers & descriptors(int(file.read())))
    return False


def descriptors(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.add(os.readlink(entry.path))
    return found
