"""The differences that ``netd diff`` shows, and the line that counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from netd.model.change import Change
from netd.model.status import State, Status
from netd.report.text import change_lines, state_lines

from .style import FAULT, STATE_COLORS, colored

COLORS = {"create": "green", "update": "yellow", "recreate": "magenta", "delete": "red"}


def diff_lines(changes: Collection[Change], rows: Collection[Status], wrong: int, color: bool) -> Iterator[str]:
    """Each change with its fields, then what is pending or in trouble, then the counts.

    ``wrong``: the number of files that are not compared as they are written.
    """
    for change in changes:
        head, *fields = change_lines(change)
        yield colored(head, COLORS[change.action], color)
        yield from fields
    for row in rows:
        if row.fault:
            yield f"{colored(FAULT, STATE_COLORS[FAULT], color)}     {row.key}: {row.fault}"
    for line in state_lines(rows):
        state = line.split(None, 1)[0]
        yield colored(state, STATE_COLORS.get(state, ""), color) + line[len(state) :]
    files = {0: "", 1: "; 1 file is not in force as written"}.get(wrong, f"; {wrong} files are not in force as written")
    yield colored(counted(changes, rows) + files, "bold", color)


def counted(changes: Collection[Change], rows: Collection[Status]) -> str:
    """ "2 to add, 1 to change, 1 to remove"; "in sync, 41 objects"."""
    actions = Counter(change.action for change in changes)
    states = Counter(row.state for row in rows)
    parts = [f"{actions['create']} to add", f"{actions['update']} to change"]
    parts += [f"{actions['recreate']} to recreate"] if actions["recreate"] else []
    parts += [f"{actions['delete']} to remove"]
    others = [f"{states[state]} {state}" for state in State if states[state] and state is not State.OK]
    if not changes:
        troubled = any(state not in (State.OK, State.PENDING) for state in states)
        parts = [f"{len(rows)} objects"] if troubled else ["in sync", f"{len(rows)} objects"]
    return ", ".join([*parts, *others])
