"""One pass: evaluate, plan, apply, verify, commit; until there is nothing left to do.

First build, change of the files, drift, restart and ``netd apply`` are the same pass with another scope.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeVar

from netd.errors import KernelError, as_refusal
from netd.model.change import Change
from netd.model.desired import Desired
from netd.model.effects import Stale
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName

from .apply.executor import Executor
from .apply.plan import Plan
from .commit import ATTEMPTS, Commit
from .compare.decision import Decision, Evaluation
from .parts import Parts
from .record import Record
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
    """``involved``: what it is about to change, and all that depends on that; others may be repaired meanwhile."""

    def __init__(self, parts: Parts, scope: Scope, commit: Commit, involved: set[Key]) -> None:
        self._parts = parts
        self._scope = scope
        self._commit = commit
        self._involved = involved
        #: Objects of which this pass was the first to count attempts.
        self._counted: set[Key] = set()

    def run(self, keys: Set[Key]) -> Iterator[None]:
        """Brings these objects, and all that depends on their changes, to what is declared; yields between portions."""
        clock = self._parts.clock.monotonic
        until = clock() + PORTION
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
                yield from self._run_once(self._admitted(todo))
                todo, self._commit.again = self._commit.again, set()
        finally:
            for key in self._counted & self._parts.states.keys():
                self._parts.states[key].attempts = 0

    def _run_once(self, keys: Set[Key]) -> Iterator[None]:
        """Evaluates these objects, and changes what differs; ``Commit.again`` is to be evaluated next."""
        parts, commit = self._parts, self._commit
        decisions: dict[Key, Decision] = {}
        chosen: list[_Chosen] = []
        yield from self._evaluate(keys, decisions, chosen)
        self._involved.clear()
        if not chosen:
            return
        self._involved |= parts.graph.with_dependents(one.change.key for one in chosen)
        changes, execution = yield from self._apply(chosen, decisions)
        stale = execution.finish()
        # netd's own writes come back as events: taken in now, so that each thing is read once.
        events = parts.mirror.events()
        heard = parts.mirror.invalidate(events)
        unheard = yield from self._invalidate(stale - set(events))
        tried = {change.key for change in changes}
        for change in changes:
            commit.changed(change, execution, tried)
            yield
        commit.again |= parts.concerned(heard)
        if unheard := (unheard | execution.watch_keys) - heard:
            commit.again |= parts.graph.affected(unheard)

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

    def _invalidate(self, stale: Set[Stale]) -> Generator[None, None, set[WatchKey]]:
        """Drops what is stale from the mirror, and returns what may have changed."""
        found: set[WatchKey] = set()
        order = sorted(stale, key=_order) if stale else ()
        for at in range(0, len(order), SLICE):
            found |= self._parts.mirror.invalidate(order[at : at + SLICE])
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
        parts, intents = self._parts, self._parts.intents
        # What a pass in between has read again has not failed.
        unread = {key: decision.error for key, decision in decisions.items() if decision.error is not None}
        failed = {key: error for key, error in unread.items() if self._commit.is_failed(key)}
        changes: list[Change] = []
        owing = intents.owing() if parts.graph.displaced_by else {}
        former: dict[Key, Record] = {}

        def intend(one: _Chosen) -> None:
            """What is declared otherwise since it was chosen is left to the next pass."""
            if parts.graph.desired.get(one.change.key) == one.declared:
                changes.append(one.change)
                intents.record(one.change, owing, former)

        def fail(change: Change, error: KernelError) -> None:
            failed[change.key] = error

        yield from self._each(chosen, intend, lambda one, error: fail(one.change, error))
        parts.ledger.flush()
        plan = Plan(parts.graph, parts.mirror, parts.ledger.records, lambda keys: parts.in_scope(keys, self._scope))
        yield from self._each(changes, plan.add, fail)
        yield from self._each(
            plan.groups.values(), plan.add_group, lambda group, error: failed.update(dict.fromkeys(group.keys, error))
        )
        stages = plan.stages(changes)
        execution = Executor(parts.mirror, parts.graph.failed_dependency, intents, former)
        if failed:
            execution.refuse(failed, parts.graph.needing_removal(failed))
        parts.plans += bool(changes)
        parts.callbacks.plan(changes, execution)
        for batch in execution.batches(stages):
            yield from execution.prepare(batch)
            execution.send(batch)
            yield
        self._count_attempts(changes)
        return changes, execution

    def _count_attempts(self, changes: Iterable[Change]) -> None:
        for change in changes:
            state = self._parts.states.setdefault(change.key, ObjectState())
            if not state.attempts:
                self._counted.add(change.key)
            state.attempts += 1


def _order(stale: Stale) -> tuple[bool, str, str, int]:
    """Links last: they are read again."""
    if isinstance(stale, LinkName):
        return True, stale.netns, stale.name, 0
    return False, stale.netns, stale.what, stale.index


def values_had(change: Change) -> tuple[Any, ...]:
    """What the kernel has instead of what is declared, comparable."""
    return tuple(sorted((name, repr(diff.have)) for name, diff in change.fields.items()))
