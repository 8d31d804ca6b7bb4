"""Commits what came of a pass: to the status, the backoff, the ledger, the log.

Objects that need no change are committed before a plan is sent: its intents are based on them. Changes are committed
after they were sent, and what they made stale was invalidated.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from enum import Enum

from netd.errors import Changed, KernelError, as_refusal
from netd.kinds import registry
from netd.kinds.base.group_kind import GroupKind
from netd.kinds.base.roles import BecomesUsable
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Change, ChangeResult
from netd.model.desired import Desired
from netd.model.invalidation import Invalidation
from netd.model.key import NAMESPACE_KIND, Key, namespace_key
from netd.model.status import State

from .apply.executor import Executor
from .compare.decision import Decision, diverged_text, first
from .compare.prerequisites import BLOCKING
from .parts import Parts
from .scope import Scope

#: Changes of one object in one pass, before it counts as failed, or as diverged.
ATTEMPTS = 4


class Outcome(Enum):
    """What came of one change."""

    DONE = "done"
    #: Not sent: what it depends on failed.
    SKIPPED = "skipped"
    #: The kernel's state changed since it was read: read again at once.
    OUTDATED = "outdated"
    REFUSED = "refused"


def outcome_of(key: Key, execution: Executor, attempts: int) -> Outcome:
    """What came of the change of an object, in its so many-th attempt."""
    if key in execution.skipped:
        return Outcome.SKIPPED
    error = execution.failed.get(key)
    if error is None:
        return Outcome.DONE
    return Outcome.OUTDATED if isinstance(error, Changed) and attempts < ATTEMPTS else Outcome.REFUSED


class Commit:
    """Of one pass, the ``number``-th."""

    def __init__(self, parts: Parts, scope: Scope, number: int, *, drift: bool) -> None:
        self._parts = parts
        self._graph = parts.graph
        self._table = parts.table
        self._backoff = parts.backoff
        self._scope = scope
        self._number = number
        self._drift = drift
        self._started = parts.clock.monotonic()
        #: The last change of each object that was reported.
        self._reported: dict[Key, Change] = {}
        self._repaired: set[Key] = set()

    # what needs no change --------------------------------------------------------------------------------------

    def unchanged(self, key: Key, decision: Decision) -> Set[Key]:
        """An object that is not changed now; returns what waited for that."""
        if decision.error is not None:
            self.unreadable(key, decision.reason, decision.error)
            return frozenset()
        released = self._release(key, decision)
        one = self._graph.desired.get(key)
        if one is not None:
            self._keep_state(one, decision)
        elif decision.change is None:
            released = released | self._forget(key)
        return released

    def _release(self, key: Key, decision: Decision) -> Set[Key]:
        """What waited for an object that cannot be relied on no longer waits once it can."""
        row = self._table.get(key)
        if row is None or row.state not in BLOCKING or decision.state in BLOCKING:
            return frozenset()
        self._backoff.succeeded(key)
        return self._graph.dependents(key) | self._parts.owed.due(key)

    def _keep_state(self, one: Desired, decision: Decision) -> None:
        key, before = one.key, self._table.get(one.key)
        known = before.state if before is not None else None
        state, reason = self._state_of(key, decision)
        if state is State.DIVERGED:
            self._table.set(key, state, reason)
            return
        self._table.set(key, state, reason, decision.unusable)
        if state is State.OK:
            self._parts.announcements.note(key, known, self._reported.get(key))
        self._record_found(one, decision)

    def _state_of(self, key: Key, decision: Decision) -> tuple[State, str]:
        row = self._table.row(key)
        if decision.change is None:
            row.diverged = None
        elif row.diverged is not None:
            return State.DIVERGED, diverged_text(decision.change) + self._culprit_text(key)
        if decision.state is State.OK and self._backoff.contended(key, self._now()):
            return State.CONTENDED, self._contended_text(key)
        return decision.state, decision.reason

    def _record_found(self, one: Desired, decision: Decision) -> None:
        """In the ledger: what is as declared is netd's own, or adopted."""
        if decision.observed is None or decision.observed.conflict:
            return
        withdrawn = self._scope.withdraws(one.key)
        try:
            self._parts.recorder.record_found(one, decision.observed, self._graph, withdrawn=withdrawn)
        except Exception as error:
            refusal = as_refusal(error)
            self.unreadable(one.key, f"cannot be recorded: {refusal}", refusal)

    def _forget(self, key: Key) -> Set[Key]:
        """Nothing of it is left; returns what waited for that. A namespace is known for as long as what is in it."""
        record = self._parts.ledger.get(key)
        if record is None or (key.kind == NAMESPACE_KIND and any(self._graph.undeclared_in(key.name))):
            return frozenset()
        self._parts.ledger.forget(key)
        if key.kind == NAMESPACE_KIND and record.locator.get("attach"):
            return self._invalidate_names_of(record.identity.get("cookie"))
        return {namespace_key(key.netns)} & self._graph.undeclared

    def _invalidate_names_of(self, cookie: int | None) -> Set[Key]:
        """Nothing of netd's is left in a foreign namespace: under its other names, objects waited for that."""
        mirror = self._parts.mirror
        names = [key.name for key, one in self._graph.namespaces.items() if one.source]
        return self._parts.hooks.invalidate(
            [Invalidation("namespace", name) for name in names if cookie and mirror.cookie(name) == cookie]
        )

    def unreadable(self, key: Key, reason: str, error: KernelError) -> None:
        """Its state is unknown: it is left as it is, and tried again later."""
        self._fail(key, reason)
        record = self._parts.ledger.get(key)
        if key not in self._graph.desired and record is not None:
            change = Change(key, "delete", {}, first(record.files), None, None)
            self._parts.hooks.done(ChangeResult(change, self._number, 0.0, False, str(error)))

    # what was changed ------------------------------------------------------------------------------------------

    def changed(self, changes: Iterable[Change], execution: Executor, tried: Set[Key]) -> Set[Key]:
        """Results of a plan for the objects that were ``tried``; returns what is to be evaluated again."""
        again: set[Key] = set()
        for change in changes:
            key, repair = change.key, self._is_repair(change)
            outcome = outcome_of(key, execution, self._parts.states.at(key).attempts)
            if outcome is Outcome.SKIPPED:
                self._table.set(key, State.PENDING, f"waits for {execution.skipped[key]}, which failed")
                continue
            again |= {key} | self._graph.dependents(key)
            if outcome is Outcome.DONE:
                owing = self._parts.owed.note(key, execution, tried)
                self._parts.recorder.record_made(change, owing=owing)
                again |= self._parts.owed.due(key)
                self._done(change, repair=repair)
            elif outcome is Outcome.REFUSED:
                again.discard(key)
                self._refused(change, execution.failed[key], repair=repair)
        return again

    def _is_repair(self, change: Change) -> bool:
        return self._drift and self._table.was_ok(change.key) and not self._parts.recorder.as_left(change)

    def _done(self, change: Change, *, repair: bool) -> None:
        key = change.key
        self._backoff.succeeded(key)
        if repair:
            self._count_repair(key)
        if self._reported.get(key) != change:
            self._reported[key] = change
            self._report(change, repair=repair)

    def _refused(self, change: Change, error: KernelError, *, repair: bool) -> None:
        key = change.key
        if repair and self._backoff.suppress_first_failure(key, self._now()):
            return
        if self._is_refused_for_now(key, error):
            return
        kind = registry()[key.kind]
        self._fail(key, kind.refusal(error) if isinstance(kind, LinkKind) else f"the kernel refused: {error}")
        self._report(change, repair=repair, error=str(error))

    def _is_refused_for_now(self, key: Key, error: KernelError) -> bool:
        """Whether the kernel refuses it only because something else is not usable yet: then it is pending."""
        one, kind = self._graph.desired.get(key), registry()[key.kind]
        if one is None or not isinstance(kind, BecomesUsable):
            return False
        with self._parts.mirror.reading():
            until = kind.refused_until(one, self._parts.mirror, error)
        if until is None:
            return False
        self._backoff.failed(key, self._now())
        self._table.set(key, State.PENDING, until.reason, until)
        return True

    def _fail(self, key: Key, reason: str) -> None:
        self._backoff.failed(key, self._now())
        if key in self._graph.desired:
            self._table.set(key, State.FAILED, reason)

    def _report(self, change: Change, *, repair: bool, error: str = "") -> None:
        seconds = self._now() - self._started
        culprit = self._culprit(change.key) if repair and not error else ""
        self._parts.hooks.done(ChangeResult(change, self._number, seconds, repair, error, culprit))

    # repairs ---------------------------------------------------------------------------------------------------

    def _count_repair(self, key: Key) -> None:
        """Once in a pass; the budget pays only for what is no consequence of another repair in the same pass."""
        one = self._graph.desired.get(key)
        if one is None or key in self._repaired:
            return
        self._repaired.add(key)
        row = self._table.row(key)
        row.repairs += 1
        row.last_repair = self._parts.clock.time()
        if not self._is_consequence(one) and self._backoff.repaired(key, self._now()):
            self._table.set(key, State.CONTENDED, self._contended_text(key))

    def _is_consequence(self, one: Desired) -> bool:
        """Whether something that it depends on, or is lost with, was repaired in the same pass."""
        key = one.key
        providers = {self._graph.providers.get(link) for link in (*one.requires, *one.after)}
        providers |= {namespace_key(netns) for netns in (key.netns, *one.namespaces) if netns}
        lost_with = registry()[key.kind].traits.lost_with
        return not self._repaired.isdisjoint(providers - {key}) or any(
            other.netns == key.netns and other.kind in lost_with for other in self._repaired
        )

    def _contended_text(self, key: Key) -> str:
        return "another program keeps changing it" + self._culprit_text(key)

    def _culprit_text(self, key: Key) -> str:
        culprit = self._culprit(key)
        return f": last {culprit}" if culprit else ""

    def _culprit(self, key: Key) -> str:
        """The process that changed it last, if the kernel names it: it does for nftables."""
        in_nftables = isinstance(registry()[key.kind], GroupKind) or registry()[key.kind].traits.in_foreign_chains
        return self._parts.kernel.culprit(key.netns) if in_nftables else ""

    def _now(self) -> float:
        return self._parts.clock.monotonic()
