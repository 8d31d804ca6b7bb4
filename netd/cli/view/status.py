"""What ``netd status`` shows: first what is wrong, with reasons, then one line per file and namespace."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netd.model.status import State

from .names import ObjectRow, is_file, selected
from .rows import Row, Section, lines_of
from .style import FAULT
from .times import ago, repairs, span

#: The order of states, worst first.
WORST = ("invalid", "failed", "conflict", "diverged", "contended", "partial", "pending", "orphan", "ok")
#: Lines that are no rows: the first one, a blank line and the heads of three sections, what was left out, the prompt.
FRAME = 11
#: The least number of rows that are shown, on a small screen too.
LEAST = 6
HOST_TITLE = "(host)"


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for, the time now (seconds since the epoch), and the size of the screen."""

    names: Sequence[str]
    states: Collection[str]
    everything: bool
    now: float
    lines: int
    columns: int


def screen(reply: Mapping[str, Any], query: Query) -> list[str]:
    """All lines. What is not asked for by name fits on the screen, however many lines its longest texts take there."""
    head = first_line(reply, query.now)
    lines = lines_of(head, sections(reply, query))
    room = query.lines
    while not (query.names or query.states or query.everything) and len(lines) >= query.lines and room > FRAME:
        room -= len(lines) - query.lines + 1
        lines = lines_of(head, sections(reply, replace(query, lines=room)))
    return lines


def narrowed(reply: Mapping[str, Any], query: Query) -> Sequence[ObjectRow]:
    """The objects that were asked for. UsageError for a name that netd does not know."""
    rows: Sequence[ObjectRow] = reply["objects"]
    if query.names:
        rows = selected(query.names, rows, [each["path"] for each in reply["files"]])
    return [row for row in rows if not query.states or row["state"] in query.states]


def sections(reply: Mapping[str, Any], query: Query) -> list[Section]:
    """Everything below the first line."""
    chosen = narrowed(reply, query)
    files = [each for each in reply["files"] if not query.names or any(is_file(n, each["path"]) for n in query.names)]
    if query.names or query.states:
        return [_objects(chosen, query), *([_files(files, chosen, query, None)] if files and not query.states else [])]
    if query.everything:
        found = [_files(files, chosen, query, None), _namespaces(chosen, query, None), _objects(chosen, query)]
        return [*_extras(reply), *found]
    room = max(LEAST, query.lines - FRAME)
    problems = _problems(chosen, query, room // 2)
    room -= len(problems.rows)
    listed = _files(files, chosen, query, max(3, room // 3))
    room -= sum(1 + len(row.below) for row in listed.rows)
    return [problems, *_extras(reply), listed, _namespaces(chosen, query, max(3, room))]


def first_line(reply: Mapping[str, Any], now: float) -> str:
    """ "degraded: 41 ok, 1 failed; 5 repairs, 12 s ago; up 3 h 12 min"."""
    parts = [f"{reply['state']}: {_counts(reply['objects']) or 'nothing declared'}"]
    inexact = [each for each in reply["files"] if each["state"] != "ok"]
    if inexact:
        parts[0] = f"{reply['state']}: {_not_in_force(inexact, now)}; {_counts(reply['objects']) or 'nothing declared'}"
    number = sum(row["repairs"] for row in reply["objects"])
    last = max((row["last_repair"] for row in reply["objects"] if row["last_repair"]), default=None)
    parts += [repairs(number, last, now)] if number else []
    started = reply.get("started")
    parts += [f"up {span(now - started)}"] if started else []
    return "; ".join(parts)


def _not_in_force(files: Sequence[Mapping[str, Any]], now: float) -> str:
    """ "1 file is not in force as written, since 5 min ago"."""
    number = "1 file is" if len(files) == 1 else f"{len(files)} files are"
    # A clash takes away one object: the rest of the file is in force as it is written now.
    kept = [each["since"] for each in files if each["state"] == "invalid" and each.get("last_good")]
    versions = "its last good version" if len(files) == 1 else "last good versions"
    since = f", {versions} since {ago(now - min(kept))}" if kept else ""
    return f"{number} not in force as written{since}"


def _counts(rows: Iterable[ObjectRow]) -> str:
    """ "41 ok, 1 pending"."""
    counts = Counter(row["state"] for row in rows)
    return ", ".join(f"{counts[state]} {state}" for state in State if counts[state])


def _worst(rows: Iterable[ObjectRow]) -> str:
    return min((row["state"] for row in rows), key=rank, default="ok")


def rank(state: str) -> int:
    """The place of a state in the order of what is wrong."""
    return WORST.index(state) if state in WORST else 0


def _all_repairs(rows: Sequence[ObjectRow], now: float) -> str:
    last = max((row["last_repair"] for row in rows if row["last_repair"]), default=None)
    return repairs(sum(row["repairs"] for row in rows), last, now)


def _objects(rows: Sequence[ObjectRow], query: Query) -> Section:
    """Each object, what is wrong first."""
    ordered = sorted(rows, key=lambda row: rank(row["state"]))
    found = [
        Row((state_of(row), row["object"], repairs(row["repairs"], row["last_repair"], query.now), reason_of(row)))
        for row in ordered
    ]
    return Section(("STATE", "OBJECT", "REPAIRS", "REASON"), found)


def state_of(row: ObjectRow) -> str:
    """The state, and beside it whether the object is kept in a fault on purpose."""
    return f"{row['state']} {FAULT}" if row.get("fault") else str(row["state"])


def reason_of(row: ObjectRow) -> str:
    """Why it is so, and which fault it is kept in."""
    return "; ".join(filter(None, (row["reason"], row.get("fault", ""))))


def _problems(rows: Sequence[ObjectRow], query: Query, room: int) -> Section:
    """Objects that are not ok, or have a warning; as many as fit."""
    wrong = sorted((row for row in rows if row["state"] != "ok" or reason_of(row)), key=lambda row: rank(row["state"]))
    shown: list[Row] = []
    for row in wrong:
        cells = (state_of(row), row["object"], reason_of(row))
        room -= 1 + len("  ".join(cells)) // max(40, query.columns)
        if room < 0:
            break
        shown.append(Row(cells))
    left = len(wrong) - len(shown)
    more = f"and {left} more: 'netd status --all' lists them" if left else ""
    return Section(("STATE", "OBJECT", "REASON"), shown, more)


def _files(files: Sequence[Mapping[str, Any]], rows: Sequence[ObjectRow], query: Query, room: int | None) -> Section:
    """One line per file, those that are not in force first; their errors below them."""
    by_file: dict[str, list[ObjectRow]] = {}
    for row in rows:
        by_file.setdefault(row["file"], []).append(row)
    ordered = sorted(files, key=lambda each: (rank(each["state"]), not each.get("warnings")))
    found = []
    for each in ordered:
        own = by_file.get(each["path"], [])
        said = [line for text in (*each["errors"], *each.get("warnings", ())) for line in text.splitlines()]
        cells = (each["state"], each["path"], _counts(own) or "no objects", _all_repairs(own, query.now))
        found.append(Row(cells, tuple(said)))
    return _folded(("STATE", "FILE", "OBJECTS", "REPAIRS"), found, room, "files")


def _namespaces(rows: Sequence[ObjectRow], query: Query, room: int | None) -> Section:
    """One line per namespace: those with problems first, then by their latest repair."""
    spaces: dict[str, list[ObjectRow]] = {}
    for row in rows:
        # A namespace's own object is in the host: its line is that of what is inside.
        spaces.setdefault(row["name"] if row["kind"] == "namespace" else row["namespace"], []).append(row)

    def order(name: str) -> tuple[int, float]:
        return rank(_worst(spaces[name])), -max((row["last_repair"] or 0.0 for row in spaces[name]), default=0.0)

    found = []
    for name in sorted(spaces, key=order):
        own = spaces[name]
        cells = (_worst(own), name or HOST_TITLE, _counts(own), _all_repairs(own, query.now))
        found.append(Row(cells))
    return _folded(("STATE", "NAMESPACE", "OBJECTS", "REPAIRS"), found, room, "namespaces")


def _folded(heads: tuple[str, ...], rows: Sequence[Row], room: int | None, what: str) -> Section:
    """As many rows as fit, and the states of the rest."""
    if room is None or len(rows) <= room + 1:
        return Section(heads, rows)
    shown, rest = rows[:room], rows[room:]
    states = Counter(row.cells[0] for row in rest)
    said = ", ".join(f"{states[state]} {state}" for state in WORST if states[state])
    if len(states) == 1:
        said = f"all {said.partition(' ')[2]}"
    return Section(heads, shown, f"and {len(rest)} more {what}, {said}: 'netd status --all' lists them")


def _extras(reply: Mapping[str, Any]) -> list[Section]:
    """Processes in namespaces that were recreated, and files that are ignored."""
    left = [
        Row((each["namespace"], str(each["pid"]), each["command"], each["unit"] or "no unit"))
        for each in reply.get("stranded", ())
    ]
    ignored = [Row((os.path.basename(each["path"]), each["reason"])) for each in reply.get("ignored", ())]
    heads = ("STRANDED IN THE OLD", "PID", "COMMAND", "UNIT: RESTART IT TO GIVE IT THE NEW NAMESPACE")
    return [Section(heads, left), Section(("IGNORED FILE", "REASON"), ignored)]
