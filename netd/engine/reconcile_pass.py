"""One pass: evaluate, plan, apply, verify, commit; until there is nothing left to do.

First build, change of the files, drift, restart and ``netd apply`` are the same pass with another scope.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeVar

from netd.errors import KernelError, as_refusal
from netd.model.change import Change
from netd.model.desired import Desired
from netd.model.invalidation import WatchKey
from netd.model.key import Key

from .apply.executor import Executor
from .apply.plan import Plan
from .commit import ATTEMPTS, Commit
from .compare.decision import Decision, Evaluation
from .parts import Parts
from .scope import Scope
from .status.objects import ObjectState

#: Seconds of work, after which a pass yields; stale links that are read at a time.
PORTION, SLICE = 0.005, 20

Value = TypeVar("Value")


class _Chosen(NamedTuple):
    """A change, and what was declared when it was chosen; None: nothing."""

    change: Change
    declared: Desired | None


class Pass:
    """``drift``: changes of objects that were ok are repairs.

    ``involved``: what it is about to change, and all that depends on that; repairs of the rest may come in between.
    """

    def __init__(self, parts: Parts, scope: Scope, involved: set[Key], *, drift: bool) -> None:
        parts.passes += 1
        self._parts = parts
        self._scope = scope
        self._involved = involved
        self._commit = Commit(parts, scope, parts.passes, drift=drift)
        #: Objects of which this pass was the first to count attempts.
        self._counted: set[Key] = set()

    def run(self, keys: Set[Key]) -> Iterator[None]:
        """Brings these objects, and all that depends on their changes, to what is declared; yields between portions."""
        clock = self._parts.clock.monotonic
        until = clock() + PORTION
        with self._parts.mirror.reading():
            for _ in self._steps(keys):
                if clock() > until:
                    yield
                    until = clock() + PORTION
        self._parts.ledger.flush()
        self._parts.announcements.send()

    def _steps(self, keys: Set[Key]) -> Iterator[None]:
        """The same; yields wherever others may come in between."""
        todo = keys
        try:
            while todo:
                todo = yield from self._run_once(self._admitted(todo))
        finally:
            for key in self._counted & self._parts.states.keys():
                self._parts.states[key].attempts = 0

    def _run_once(self, keys: Set[Key]) -> Generator[None, None, Set[Key]]:
        """Returns what is to be evaluated next."""
        parts, commit = self._parts, self._commit
        decisions: dict[Key, Decision] = {}
        chosen: list[_Chosen] = []
        yield from self._evaluate(keys, decisions, chosen)
        self._involved.clear()
        self._involved |= parts.graph.with_dependents(one.change.key for one in chosen)
        if not chosen:
            return commit.take_again()
        changes, execution = yield from self._apply(chosen, decisions)
        own = yield from self._invalidate(execution)
        # netd's own writes come back as events: taken in now, so that each thing is read once.
        others = parts.mirror.invalidate(parts.mirror.events())
        tried = {change.key for change in changes}
        for change in changes:
            commit.changed(change, execution, tried)
            yield
        return commit.take_again() | parts.graph.affected(own) | parts.concerned(others)

    def _evaluate(self, keys: Set[Key], decisions: dict[Key, Decision], chosen: list[_Chosen]) -> Iterator[None]:
        """Compares these objects, each once.

        What needs no change is committed at once: intents are based on what the ledger has of other objects.
        """
        parts, evaluation = self._parts, Evaluation(self._scope.withdraws, decisions)

        def evaluate(key: Key) -> None:
            decision = parts.evaluator.evaluate(key, evaluation)
            if change := self._chosen(key, decision):
                chosen.append(_Chosen(change, parts.graph.desired.get(key)))
                self._involved.add(key)
            else:
                self._commit.unchanged(key, decision)

        yield from self._each(parts.graph.in_order(keys), evaluate, self._commit.unrecorded)

    def _each(
        self, objects: Iterable[Value], act: Callable[[Value], None], failed: Callable[[Value, KernelError], None]
    ) -> Iterator[None]:
        """Does something for each; an exception concerns this one alone. Yields in between."""
        for one in objects:
            try:
                act(one)
            except Exception as error:
                failed(one, as_refusal(error))
            yield

    def _invalidate(self, execution: Executor) -> Generator[None, None, set[WatchKey]]:
        """Drops what a plan made stale from the mirror, and returns what may have changed; links are read again."""
        found, stale = execution.watch_keys, execution.stale()
        for at in range(0, len(stale), SLICE):
            found |= self._parts.mirror.invalidate(stale[at : at + SLICE])
            yield
        return found

    # choosing --------------------------------------------------------------------------------------------------

    def _admitted(self, keys: Set[Key]) -> Set[Key]:
        """Those of these objects that are in scope and need not wait."""
        graph = self._parts.graph
        due = self._parts.backoff.due(self._parts.in_scope(keys, self._scope), self._parts.clock.monotonic())
        # However long it is to wait after a refusal: where it cannot leave, the namespace stays.
        return due if graph.undeclared.isdisjoint(due) else due | graph.must_leave_first(due)

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
        return change.action == "update" and not change.fields and change.key in self._parts.owed.links

    def _diverges_as_before(self, change: Change) -> bool:
        """Whether the kernel was known to read this back otherwise than it is written."""
        state = self._parts.states.get(change.key)
        if state is None or state.row is None or state.row.diverged is None:
            return False
        if state.row.diverged == values_had(change):
            return True
        state.row.diverged = None
        return False

    def _give_up(self, change: Change) -> None:
        """It was written often enough in this pass."""
        if change.key in self._parts.graph.desired:
            self._parts.table.row(change.key).diverged = values_had(change)
        self._parts.backoff.postpone(change.key, self._parts.clock.monotonic())

    # applying --------------------------------------------------------------------------------------------------

    def _apply(
        self, chosen: Sequence[_Chosen], decisions: Mapping[Key, Decision]
    ) -> Generator[None, None, tuple[Sequence[Change], Executor]]:
        """Writes the intents to the ledger, plans, and sends the plan; returns the changes that it was for."""
        parts = self._parts
        failed = {key: decision.error for key, decision in decisions.items() if decision.error is not None}
        changes: list[Change] = []
        intents = parts.intents()

        def intend(one: _Chosen) -> None:
            """What is declared otherwise since it was chosen is left to the next pass."""
            if parts.graph.desired.get(one.change.key) == one.declared:
                changes.append(one.change)
                intents.record(one.change)

        def fail(change: Change, error: KernelError) -> None:
            failed[change.key] = error

        yield from self._each(chosen, intend, lambda one, error: fail(one.change, error))
        parts.ledger.flush()
        parts.plans += bool(changes)
        plan = Plan(parts.graph, parts.mirror, parts.ledger.records, lambda keys: parts.in_scope(keys, self._scope))
        yield from self._each(changes, plan.add, fail)
        yield from self._each(plan.groups, plan.add_group, lambda group, error: failed.update(group.all(error)))
        execution = Executor(parts.mirror, parts.graph.failed_dependency, intents)
        if failed:
            execution.refuse(failed, parts.graph.needing_removal(failed))
        parts.callbacks.plan(changes, execution)
        for batch in execution.batches(plan.stages(changes)):
            yield from execution.prepare(batch)
            execution.send(batch)
            yield
        execution.try_again()
        self._count_attempts(changes)
        return changes, execution

    def _count_attempts(self, changes: Iterable[Change]) -> None:
        for change in changes:
            state = self._parts.states.setdefault(change.key, ObjectState())
            if not state.attempts:
                self._counted.add(change.key)
            state.attempts += 1


def values_had(change: Change) -> tuple[Any, ...]:
    """What the kernel has instead of what is declared, comparable."""
    return tuple(sorted((name, repr(diff.have)) for name, diff in change.fields.items()))
