"""The states of objects between passes, as an operator sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from netd.model.key import Key
from netd.model.status import SETTLED, State, Status, Unusable, summary

from .objects import ObjectState, ObjectStates, StatusRow

UNSEEN = "netd has not evaluated it yet"
ORPHANED = "has netd's mark, but no file declares it: 'netd down --orphans' removes it"


class StatusTable:
    """The rows of objects. ``on_state`` is called with a row that changed, and the state before."""

    def __init__(
        self,
        states: ObjectStates,
        file_of: Callable[[Key], str],
        on_state: Callable[[Status, State | None], None],
    ) -> None:
        self._states = states
        self._count = 0
        self._not_ok: dict[Key, StatusRow] = {}
        self._file_of = file_of
        self._on_state = on_state
        self.orphans: Collection[Key] = ()

    def get(self, key: Key) -> StatusRow | None:
        """The row of an object, None before its first pass."""
        state = self._states.get(key)
        return state.row if state is not None else None

    def row(self, key: Key) -> StatusRow:
        """The row of an object; a new one is pending."""
        state = self._states.setdefault(key, ObjectState())
        if state.row is None:
            state.row = StatusRow(State.PENDING)
            self._count += 1
        return state.row

    def keep(self, keys: Collection[Key]) -> None:
        """Forgets the rows of all other objects, and those of which nothing is left to keep."""
        empty = ObjectState()
        for key, state in [(key, state) for key, state in self._states.items() if key not in keys]:
            if state.row is not None:
                state.row = None
                self._count -= 1
                self._not_ok.pop(key, None)
            if state == empty:
                del self._states[key]

    def set(self, key: Key, state: State, reason: str = "", unusable: Unusable | None = None) -> None:
        """The state of an object now; ``unusable``: it is pending for that."""
        known = self.get(key)
        before = known.state if known is not None else None
        row = self.row(key)
        changed = (before, row.reason) != (state, reason)
        row.state, row.reason, row.unusable = state, reason, unusable
        if state is State.OK:
            self._not_ok.pop(key, None)
        else:
            self._not_ok[key] = row
        if changed:
            self._on_state(self.status(key), before)

    def clear_diverged(self, key: Key) -> None:
        """The values may read back as written from now on."""
        row = self.get(key)
        if row is not None:
            row.diverged = None

    def status(self, key: Key) -> Status:
        """The row of one object, as it is reported."""
        row = self.get(key)
        if row is None:
            return Status(key, State.PENDING, UNSEEN, self._file_of(key))
        return Status(key, row.state, row.reason, self._file_of(key), row.repairs, row.last_repair)

    def statuses(self, keys: Iterable[Key]) -> list[Status]:
        """The rows of these objects, and of orphans."""
        return [self.status(key) for key in keys] + self._orphan_rows()

    def counts(self) -> dict[State, int]:
        """How many objects are in each state; costs what is not ok, not what there is."""
        found = {State.OK: self._count - len(self._not_ok), State.ORPHAN: len(self.orphans)}
        for row in self._not_ok.values():
            found[row.state] = found.get(row.state, 0) + 1
        return found

    def any_not_settled(self) -> bool:
        """Whether an object is neither right nor merely waiting; for what is over in a moment the whole waits, too."""
        return any(map(_is_unsettled, self._not_ok.values()))

    def any_not_ok(self) -> bool:
        """Whether an object is not right, or waits for something."""
        return bool(self._not_ok)

    def not_ok(self) -> list[Status]:
        """Objects that are not ok, pending ones included."""
        return [self.status(key) for key in self._not_ok]

    def not_settled(self) -> list[Status]:
        """The objects that are so."""
        return [self.status(key) for key, row in self._not_ok.items() if _is_unsettled(row)]

    def unusable(self) -> dict[Key, Unusable]:
        """Objects that are as declared, and cannot be used yet."""
        return {key: row.unusable for key, row in self._not_ok.items() if row.unusable is not None}

    def summary(self) -> str:
        """Counts by state, and the first trouble; costs what is not ok, not what there is."""
        troubles = [self.status(key) for key in self._not_ok]
        return summary([*troubles, *self._orphan_rows()], self._count - len(troubles))

    def _orphan_rows(self) -> list[Status]:
        return [Status(key, State.ORPHAN, ORPHANED) for key in self.orphans]


def _is_unsettled(row: StatusRow) -> bool:
    return row.state not in SETTLED or (row.unusable is not None and row.unusable.passes)
