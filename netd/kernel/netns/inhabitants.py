"""Processes by the namespace that they are in: also one whose name is gone, or leads to another namespace now."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

PROC = "/proc"
#: Endings of systemd's units that hold processes.
UNITS = (".service", ".scope")


class Inhabitant(NamedTuple):
    """``unit`` is systemd's, "" for a process of none."""

    pid: int
    command: str
    unit: str


def inhabitants(
    cookies: Collection[int], cookie_at: Callable[[str], int | None], known: Collection[int] = ()
) -> Mapping[int, list[Inhabitant]]:
    """The processes in each of these namespaces. ``known``: inodes of namespaces that are none of them."""
    by_inode: dict[int, list[int]] = {}
    for pid, inode in _processes():
        if inode not in known:
            by_inode.setdefault(inode, []).append(pid)
    found: dict[int, list[Inhabitant]] = {}
    for pids in by_inode.values():
        # One of them may end meanwhile.
        cookie = next((each for pid in pids if (each := cookie_at(f"{PROC}/{pid}/ns/net")) is not None), None)
        if cookie in cookies and cookie is not None:
            found[cookie] = [Inhabitant(pid, _line(pid, "comm"), _unit(pid)) for pid in sorted(pids)]
    return found


def _processes() -> Iterator[tuple[int, int]]:
    """(pid, inode of its network namespace) of each process that may be looked at, kernel threads aside."""
    own = os.stat(f"{PROC}/self/ns/net").st_ino
    for name in os.listdir(PROC):
        if name.isdigit():
            with contextlib.suppress(OSError):
                inode = os.stat(f"{PROC}/{name}/ns/net").st_ino
                if inode != own:
                    yield int(name), inode


def _line(pid: int, name: str) -> str:
    with contextlib.suppress(OSError), open(f"{PROC}/{pid}/{name}", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return ""


def _unit(pid: int) -> str:
    """The innermost unit in its control group, cgroups(7)."""
    for line in _line(pid, "cgroup").splitlines():
        for part in reversed(line.rpartition(":")[2].split("/")):
            if part.endswith(UNITS):
                return part
    return ""
