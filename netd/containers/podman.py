"""Podman: its files have all that is needed.

There is no daemon to ask. `podman inspect` takes a tenth of a second and a lock, and writes, which a unit with a
sandbox may not; the service behind podman.socket would be started by the question and kept alive by listening to it.
The files are the lists of containers/storage (names) and what the OCI runtime writes at each start (the number of the
process): the layout has been the same since Podman 1.0. Containers of users without root are in network namespaces of
those users' own, and are not searched.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Sequence, Set
from contextlib import closing, suppress
from typing import Any, NamedTuple

import tomli

from netd.kernel import inotify
from netd.kernel.inotify import Inotify
from netd.model.attach import AttachTarget

from .runtime import NO_CONTAINER, NOT_RUNNING, ContainerRuntime, means, target_of

#: containers-storage.conf(5), the later one decides.
SETTINGS = ("/usr/share/containers/storage.conf", "/etc/containers/storage.conf")
LISTS = ("containers.json", "volatile-containers.json")
#: Seconds between two checks if nothing can be watched.
SLOW_LOOK = 60.0
#: The most bytes of a list that are read.
LONGEST = 64 << 20
EVENTS = inotify.ENTRIES | inotify.IN_CLOSE_WRITE | inotify.IN_ONLYDIR


class Bundle(NamedTuple):
    """A container, and where its files of this boot are."""

    number: str
    running: str


class Podman(ContainerRuntime):
    """``graph`` and ``running``: the directories of the storage; what the settings say, if they are not given."""

    title = "Podman"

    def __init__(self, graph: str = "", running: str = "") -> None:
        super().__init__()
        self._given = graph, running
        self._lists: dict[str, tuple[tuple[int, ...], Sequence[tuple[str, Sequence[str]]]]] = {}

    # Requests --------------------------------------------------------------------------------------------------

    def ask(self, name: str) -> AttachTarget:
        bundle = self._find(name, *self._roots())
        return AttachTarget("", NO_CONTAINER) if bundle is None else location(bundle)

    def _roots(self) -> tuple[str, str]:
        return self._given if all(self._given) else roots()

    def _find(self, name: str, graph: str, running: str) -> Bundle | None:
        """The container of that name, or with an ID that starts so."""
        by_number = None
        for directory in sorted(driver_directories(graph) | driver_directories(running)):
            for listed in LISTS:
                for number, names in self._listed(f"{directory}/{listed}"):
                    driver = os.path.basename(directory)
                    bundle = Bundle(number, f"{running}/{driver}/{number}/userdata")
                    if name in names:
                        return bundle
                    if means(name, number, names):
                        by_number = bundle
        return by_number

    def _listed(self, path: str) -> Sequence[tuple[str, Sequence[str]]]:
        """(number, names) of each container in a list; one version of a list is read once."""
        try:
            found = os.stat(path)
        except OSError:
            return ()
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if self._lists.get(path, ((), ()))[0] != stamp:
            self._lists[path] = stamp, listed(read_json(path))
        return self._lists[path][1]

    # Watching -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        with closing(Inotify()) as watch:
            while wanted := self.wanted():
                steps = self._arm(watch, wanted)
                # The watches are set, so later changes are seen: check now.
                for name in wanted:
                    self.put(name, self.answer(name))
                self._wait(watch, steps, wanted)

    def _wait(self, watch: Inotify, steps: dict[int, set[str]], wanted: Set[str]) -> None:
        """Until one of these files changes, or others are wanted."""
        while self.wanted() == wanted:
            self.wait([watch.descriptor], SLOW_LOOK if watch.trouble else None)
            if watch.trouble:
                return
            for event in watch.events():
                names = steps.get(event.watch, set())
                if not event.name or "" in names or event.name in names:
                    return

    def _arm(self, watch: Inotify, wanted: Iterable[str]) -> dict[int, set[str]]:
        """Watches every relevant directory, or its nearest existing parent: {watch: names in it, "" for all}.

        Each is watched before it is read, so that no later change is missed.
        """
        steps: dict[int, set[str]] = {}
        graph, running = self._roots()
        follow(watch, steps, (f"{graph}/", f"{running}/"))
        follow(
            watch,
            steps,
            (
                f"{directory}/{name}"
                for directory in driver_directories(graph) | driver_directories(running)
                for name in LISTS
            ),
        )
        bundles = (self._find(name, graph, running) for name in wanted)
        follow(watch, steps, (f"{bundle.running}/pidfile" for bundle in bundles if bundle))
        return steps


def follow(watch: Inotify, steps: dict[int, set[str]], paths: Iterable[str]) -> None:
    """Adds to ``steps`` what to wait for, for each of these files."""
    for path in paths:
        number, name = step(watch, path)
        if number is not None:
            steps.setdefault(number, set()).add(name)


def step(watch: Inotify, path: str) -> tuple[int | None, str]:
    """Watches the directory of a file, or its nearest existing parent; returns the name to wait for in it."""
    while True:
        directory, name = os.path.split(path)
        while (number := watch.add(directory, EVENTS)) is None and directory != "/":
            directory, name = os.path.split(directory)
        # The next one may have come before its parent was watched.
        if directory == os.path.dirname(path) or watch.add(f"{directory}/{name}", EVENTS) is None:
            return number, name


def listed(entries: Any) -> list[tuple[str, Sequence[str]]]:
    """(number, names) of each container in a list, as far as it is one."""
    found: list[tuple[str, Sequence[str]]] = []
    for one in entries if isinstance(entries, list) else ():
        if isinstance(one, dict) and isinstance(number := one.get("id"), str) and "/" not in number:
            names = one.get("names")
            texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
            found.append((number, texts))
    return found


def roots() -> tuple[str, str]:
    """Where the storage is, for what stays and for what is of this boot."""
    found = {"graphroot": "/var/lib/containers/storage", "runroot": "/run/containers/storage"}
    for path in SETTINGS:
        with suppress(OSError, ValueError, AttributeError, RecursionError), open(path, "rb") as file:
            settings = tomli.load(file).get("storage", {})
            found |= {key: settings[key] for key in found if isinstance(settings.get(key), str) and settings[key]}
    return found["graphroot"].rstrip("/"), found["runroot"].rstrip("/")


def driver_directories(root: str) -> set[str]:
    """The directory of containers of each storage driver."""
    return set(glob.glob(f"{glob.escape(root)}/*-containers"))


def location(bundle: Bundle) -> AttachTarget:
    """The location of a container. Its PID file remains after the process has ended."""
    with suppress(OSError, ValueError):
        with open(f"{bundle.running}/pidfile", encoding="ascii") as file:
            pid = int(file.read())
        if belongs(pid, bundle.number):
            return target_of(pid)
    return AttachTarget("", NOT_RUNNING)


def belongs(pid: int, number: str) -> bool:
    """Whether a process is the first of that container: by its control group, or because conmon started it. OSError."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
        if number in file.read():
            return True
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        parent = int(file.read().rpartition(")")[2].split()[1])
    with open(f"/proc/{parent}/cmdline", encoding="utf-8", errors="replace") as file:
        return number in file.read().split("\0")


def read_json(path: str) -> Any:
    """The content of a file; None if it does not exist, or is too large."""
    with suppress(OSError, ValueError, RecursionError), open(path, "rb") as file:
        return json.loads(file.read(LONGEST))
    return None
