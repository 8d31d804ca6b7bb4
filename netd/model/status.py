"""The state of an object, and of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .key import Key


class State(StrEnum):
    """States of an object; the values are those of the JSON."""

    OK = "ok"
    PENDING = "pending"
    FAILED = "failed"
    CONTENDED = "contended"
    DIVERGED = "diverged"
    CONFLICT = "conflict"
    ORPHAN = "orphan"


class Unusable(NamedTuple):
    """Why an object is as declared, but not usable yet; ``passes``: it becomes usable by itself within a minute."""

    reason: str
    passes: bool = False


#: States that leave the whole "converged".
SETTLED = frozenset({State.OK, State.PENDING, State.ORPHAN})


@dataclass(frozen=True, slots=True)
class Status:
    """One row: ``last_repair`` is seconds since the epoch, None where there was none. ``fault``: what netd keeps it
    in on purpose, "" for nothing."""

    key: Key
    state: State
    reason: str = ""
    file: str = ""
    repairs: int = 0
    last_repair: float | None = None
    fault: str = ""


def overall(rows: Iterable[Status]) -> str:
    """ "converged" or "degraded"."""
    return "converged" if all(row.state in SETTLED for row in rows) else "degraded"


def overall_of(counts: Mapping[State, int], *, incomplete: bool) -> str:
    """The same from the number of objects in each state; "incomplete": a file is not in force as written."""
    if any(number and state not in SETTLED for state, number in counts.items()):
        return "degraded"
    return "incomplete" if incomplete else "converged"


def summary(rows: Iterable[Status], sound: int = 0) -> str:
    """Counts by state, then the first trouble: "41 ok, 1 pending: vxlan/vxlan0 waits for eth1".

    ``sound``: the number of ok objects that are not in ``rows``.
    """
    counts: dict[State, int] = {State.OK: sound} if sound else {}
    first: Status | None = None
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + 1
        if row.state is not State.OK and (first is None or (first.state in SETTLED and row.state not in SETTLED)):
            first = row
    text = ", ".join(f"{counts[state]} {state.value}" for state in State if state in counts) or "nothing declared"
    if first is not None and first.reason:
        text += f": {first.key} {first.reason}"
    return text
