"""All that is kept of one object between readings of the kernel, in one place: status, backoff, attempts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from netd.model.key import Key
from netd.model.status import State, Unusable

#: Repairs in a row that are never delayed.
BUDGET = 10.0


@dataclass(slots=True)
class StatusRow:
    """What an operator sees of an object.

    ``diverged``: the values that did not read back as they were written; ``unusable``: what it is pending for.
    """

    state: State
    reason: str = ""
    repairs: int = 0
    last_repair: float | None = None
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


class ObjectStates:
    """The states of all objects, by key."""

    def __init__(self) -> None:
        self._states: dict[Key, ObjectState] = {}

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._states))

    def get(self, key: Key) -> ObjectState | None:
        """The state of an object, None where there is nothing to keep."""
        return self._states.get(key)

    def at(self, key: Key) -> ObjectState:
        """The state of an object; a new one is empty."""
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = ObjectState()
        return state

    def drop_empty(self, keys: Collection[Key]) -> None:
        """Forgets all other objects of which there is nothing to keep."""
        empty = ObjectState()
        for key in [key for key, state in self._states.items() if key not in keys and state == empty]:
            del self._states[key]
