"""One pass: evaluate, plan, apply, verify, commit; until there is nothing left to do.

First build, change of the files, drift, restart and ``netd apply`` are the same pass with another scope.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from netd.errors import KernelError
from netd.model.change import Change
from netd.model.desired import Desired
from netd.model.key import Key

from .apply.executor import Executor
from .apply.plan import Planner
from .commit import ATTEMPTS, Commit
from .compare.decision import Decision
from .parts import Parts
from .portions import Portions
from .scope import Scope


class _Chosen(NamedTuple):
    """A change, and what was declared when it was chosen; None: nothing."""

    change: Change
    declared: Desired | None


class Pass:
    """``drift``: changes of objects that were ok are repairs."""

    def __init__(self, parts: Parts, scope: Scope, portions: Portions, *, drift: bool) -> None:
        parts.passes += 1
        self._parts = parts
        self._scope = scope
        self._portions = portions
        self._commit = Commit(parts, scope, parts.passes, drift=drift)
        #: Objects of which this pass was the first to count attempts.
        self._counted: set[Key] = set()
        #: Changes whose intent could not be recorded.
        self._unrecorded: dict[Key, KernelError] = {}

    def run(self, keys: Set[Key]) -> Iterator[None]:
        """Brings these objects, and all that depends on their changes, to what is declared; yields between portions."""
        todo = keys
        try:
            while todo:
                todo = yield from self._run_once(self._admitted(todo))
        finally:
            for key in self._counted:
                if (state := self._parts.states.get(key)) is not None:
                    state.attempts = 0
        self._parts.ledger.flush()
        self._parts.announcements.send()

    def _run_once(self, keys: Set[Key]) -> Generator[None, None, Set[Key]]:
        """Returns what is to be evaluated next."""
        parts, portions = self._parts, self._portions
        with parts.mirror.reading():
            decisions: dict[Key, Decision] = {}
            chosen: list[_Chosen] = []
            released: set[Key] = set()

            def decided(key: Key, decision: Decision) -> None:
                """What needs no change is committed at once: intents are based on what the ledger has of others."""
                if change := self._chosen(key, decision):
                    chosen.append(_Chosen(change, parts.graph.desired.get(key)))
                else:
                    released.update(self._commit.unchanged(key, decision))

            yield from parts.evaluator.in_portions(keys, decisions, portions, decided, withdraw=self._scope.withdraws)
            portions.involved.clear()
            portions.involved |= parts.graph.with_dependents({one.change.key for one in chosen})
            changes = yield from self._record_intents(chosen)
            if not changes:
                return released
            execution = yield from self._apply(changes, decisions)
            stale = yield from execution.read_again(portions)
        again = yield from self._commit_changed(changes, execution)
        # netd's own writes come back as events: taken in now, so that each thing is read once.
        return again | released | parts.graph.affected(stale) | parts.hooks.read_events()

    def _admitted(self, keys: Set[Key]) -> Set[Key]:
        """Those of these objects that are in scope and need not wait."""
        now = self._parts.clock.monotonic()
        due = {key for key in keys if self._parts.in_scope(key, self._scope) and self._parts.backoff.is_due(key, now)}
        # However long it is to wait after a refusal: where it cannot leave, the namespace stays.
        return due | self._parts.graph.must_leave_first(due)

    # choosing --------------------------------------------------------------------------------------------------

    def _chosen(self, key: Key, decision: Decision) -> Change | None:
        """The change that an object needs, if it is worth trying."""
        change = decision.change
        if change is None or self._only_waits(change) or self._diverges_as_before(change):
            return None
        state = self._parts.states.get(key)
        if state is not None and state.attempts >= ATTEMPTS:
            self._give_up(change)
            return None
        return change

    def _only_waits(self, change: Change) -> bool:
        """Whether nothing differs except foreign objects that are restored once their prerequisites exist."""
        return change.key in self._parts.owed and change.action == "update" and not change.fields

    def _diverges_as_before(self, change: Change) -> bool:
        """Whether the kernel was known to read this back otherwise than it is written."""
        row = self._parts.table.get(change.key)
        if row is None or row.diverged is None:
            return False
        if row.diverged == values_had(change):
            return True
        row.diverged = None
        return False

    def _give_up(self, change: Change) -> None:
        """It was written often enough in this pass."""
        if change.key in self._parts.graph.desired:
            self._parts.table.row(change.key).diverged = values_had(change)
        self._parts.backoff.postpone(change.key, self._parts.clock.monotonic())

    # applying --------------------------------------------------------------------------------------------------

    def _record_intents(self, chosen: Sequence[_Chosen]) -> Generator[None, None, Sequence[Change]]:
        """Writes the intents to the ledger; returns the changes that the files still call for.

        Others were declared otherwise in one of the turns since they were chosen: the next pass has them.
        """
        parts, portions = self._parts, self._portions
        changes: list[Change] = []
        for part in portions.slices(chosen):
            current = [one.change for one in part if parts.graph.desired.get(one.change.key) == one.declared]
            self._unrecorded |= parts.recorder.record_intent(current, parts.graph)
            changes += current
            yield from portions.end()
        return changes

    def _apply(self, changes: Sequence[Change], decisions: Mapping[Key, Decision]) -> Generator[None, None, Executor]:
        """Plans, and sends the plan."""
        parts, portions = self._parts, self._portions
        parts.plans += 1
        unread = dict(self._unrecorded)
        self._unrecorded.clear()
        execution = Executor(parts.mirror, parts.graph.failed_dependency, parts.recorder)
        planner = Planner(parts.graph, parts.mirror, parts.ledger.get, lambda key: parts.in_scope(key, self._scope))
        stages = yield from planner.plan(changes, portions)
        unread |= {key: decision.error for key, decision in decisions.items() if decision.error is not None}
        unread |= planner.failed
        execution.refuse(unread, parts.graph.needing_removal(unread))
        parts.hooks.planned(changes, execution)
        yield from execution.run(stages, portions)
        for change in changes:
            self._count_attempt(change.key)
        return execution

    def _count_attempt(self, key: Key) -> None:
        state = self._parts.states.at(key)
        if not state.attempts:
            self._counted.add(key)
        state.attempts += 1

    # committing ------------------------------------------------------------------------------------------------

    def _commit_changed(self, changes: Sequence[Change], execution: Executor) -> Generator[None, None, Set[Key]]:
        again: set[Key] = set()
        tried = {change.key for change in changes}
        for part in self._portions.slices(changes):
            again |= self._commit.changed(part, execution, tried)
            yield from self._portions.end()
        return again


def values_had(change: Change) -> tuple[Any, ...]:
    """What the kernel has instead of what is declared, comparable."""
    return tuple(sorted((name, repr(diff.have)) for name, diff in change.fields.items()))
