"""All that is kept of one object between readings of the kernel, in one place: status, backoff, attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netd.model.key import Key
from netd.model.status import State, Unusable

#: Repairs in a row that are never delayed.
BUDGET = 10.0


@dataclass(slots=True)
class StatusRow:
    """What an operator sees of an object.

    ``contention``: why its repairs do not last, "" if another program undoes them. ``diverged``: the values that did
    not read back as they were written; ``unusable``: what it is pending for.
    """

    state: State
    reason: str = ""
    repairs: int = 0
    last_repair: float | None = None
    contention: str = ""
    diverged: tuple[Any, ...] | None = None
    unusable: Unusable | None = None


@dataclass(slots=True)
class ObjectBackoff:
    """When an object may be touched again (``backoff``); times are of a monotonic clock, 0 is none."""

    counted: float
    budget: float = BUDGET
    failures: int = 0
    first_failure_suppressed: bool = False
    pause: float = 0.0
    not_before: float = 0.0


@dataclass(slots=True)
class ObjectState:
    """One object.

    ``row`` is None before its first pass, and of an object that no file declares. ``backoff`` is None unless it failed
    or was repaired lately. ``attempts``: changes of it in the pass that is under way.
    """

    row: StatusRow | None = None
    backoff: ObjectBackoff | None = None
    attempts: int = 0


#: The states of all objects; one that is missing is empty.
ObjectStates = dict[Key, ObjectState]
