"""Commits what came of a pass: to the status, the backoff, the ledger, the log.

Objects that need no change are committed before a plan is sent: its intents are based on them. Changes are committed
after they were sent, and what they made stale was invalidated.
"""

from __future__ import annotations

from collections.abc import Set
from enum import Enum

from netd.errors import Changed, KernelError
from netd.kinds import registry
from netd.kinds.base.group_kind import GroupKind
from netd.kinds.base.roles import BecomesUsable
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Change, ChangeResult
from netd.model.desired import Desired
from netd.model.invalidation import Invalidation
from netd.model.key import Key, namespace_key
from netd.model.status import State

from .apply.executor import Executor
from .compare.decision import Decision, diverged_text, first
from .compare.prerequisites import BLOCKING
from .parts import Parts
from .scope import Scope
from .status.objects import StatusRow

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
        #: What is to be evaluated again, because of what was committed.
        self.again: set[Key] = set()

    # what needs no change --------------------------------------------------------------------------------------

    def unchanged(self, key: Key, decision: Decision) -> None:
        """An object that is not changed now."""
        if decision.error is not None:
            self.unreadable(key, decision.reason, decision.error)
            return
        self._release(key, decision)
        one = self._graph.desired.get(key)
        if one is not None:
            self._keep_state(one, decision)
        elif decision.change is None:
            self._forget(key)

    def _release(self, key: Key, decision: Decision) -> None:
        """What waited for an object that cannot be relied on no longer waits once it can."""
        row = self._row(key)
        if row is not None and row.state in BLOCKING and decision.state not in BLOCKING:
            self._backoff.succeeded(key)
            self.again |= self._graph.dependents(key) | self._parts.owed.due(key)

    def _keep_state(self, one: Desired, decision: Decision) -> None:
        key, row, state, reason = one.key, self._row(one.key), decision.state, decision.reason
        before = row.state if row is not None else None
        if decision.change is None and row is not None:
            row.diverged = None
        elif decision.change is not None and row is not None and row.diverged is not None:
            text = diverged_text(decision.change) + self._culprit_text(key)
            self._table.set(key, State.DIVERGED, text)
            return
        if state is State.OK and self._is_contended(key):
            state, reason = State.CONTENDED, self._contended_text(key)
        self._table.set(key, state, reason, decision.unusable)
        if state is State.OK and (before is not State.OK or key in self._reported):
            self._parts.announcements.note(key, before, self._reported.get(key))
        if decision.observed is not None and not decision.observed.conflict:
            # In the ledger: what is as declared is netd's own, or adopted.
            self._parts.recorder.record_found(one, decision.observed, self._scope.withdraws)

    def _row(self, key: Key) -> StatusRow | None:
        state = self._parts.states.get(key)
        return state.row if state is not None else None

    def _is_contended(self, key: Key) -> bool:
        state = self._parts.states.get(key)
        paused = state is not None and state.backoff is not None and state.backoff.pause > 0
        return paused and self._backoff.contended(key, self._now())

    def unrecorded(self, key: Key, error: KernelError) -> None:
        """What is known of an object cannot be kept."""
        self.unreadable(key, f"cannot be recorded: {error}", error)

    def _forget(self, key: Key) -> None:
        """Nothing of it is left. A namespace is known for as long as what is in it."""
        record = self._parts.ledger.records.get(key)
        if record is None or (key.is_namespace and any(self._graph.undeclared_in(key.name))):
            return
        self._parts.ledger.forget(key)
        if key.is_namespace and record.locator.get("attach"):
            self._invalidate_names_of(record.identity.get("cookie"))
        else:
            self.again |= {namespace_key(key.netns)} & self._graph.undeclared

    def _invalidate_names_of(self, cookie: int | None) -> None:
        """Nothing of netd's is left in a foreign namespace: under its other names, objects waited for that."""
        mirror = self._parts.mirror
        names = [name for name, one in self._graph.namespaces.items() if one.source]
        stale = [Invalidation("namespace", name) for name in names if cookie and mirror.cookie(name) == cookie]
        self.again |= self._parts.concerned(mirror.invalidate(stale))

    def unreadable(self, key: Key, reason: str, error: KernelError) -> None:
        """Its state is unknown: it is left as it is, and tried again later."""
        self._fail(key, reason)
        record = self._parts.ledger.records.get(key)
        if key not in self._graph.desired and record is not None:
            change = Change(key, "delete", {}, first(record.files), None, None)
            self._parts.callbacks.done(ChangeResult(change, self._number, 0.0, False, str(error)))

    def is_failed(self, key: Key) -> bool:
        """Whether its state is unknown still, or an operation on it was refused."""
        row = self._row(key)
        return row is None or row.state is State.FAILED

    # what was changed ------------------------------------------------------------------------------------------

    def changed(self, change: Change, execution: Executor, tried: Set[Key]) -> None:
        """What came of one change of a plan for the objects that were ``tried``."""
        key, parts = change.key, self._parts
        outcome = outcome_of(key, execution, parts.states[key].attempts)
        if outcome is Outcome.SKIPPED:
            self._table.set(key, State.PENDING, f"waits for {execution.skipped[key]}, which failed")
            return
        repair = self._drift and self._was_ok(key) and not parts.recorder.as_left(change)
        if outcome is Outcome.REFUSED:
            self._refused(change, execution.failed[key], repair=repair)
        elif outcome is Outcome.DONE:
            owing = bool(execution.unfit or parts.owed.links) and parts.owed.note(key, execution, tried)
            parts.recorder.record_made(change, owing=owing)
            self._done(change, repair=repair)
            if parts.owed.links:
                self.again |= parts.owed.due(key)
        if outcome is not Outcome.REFUSED:
            self.again.add(key)
        self.again |= self._graph.dependents(key)

    def _was_ok(self, key: Key) -> bool:
        """Whether it was ok before: only then is a change of it a repair, and not something that it waited for."""
        row = self._row(key)
        return row is not None and (row.state in (State.OK, State.CONTENDED) or row.unusable is not None)

    def _done(self, change: Change, *, repair: bool) -> None:
        key, row, now = change.key, self._row(change.key), self._now()
        counts = repair and self._counts(change)
        self._backoff.succeeded(key)
        if counts and self._backoff.repaired(key, now, hopeless=row is not None and bool(row.contention)):
            self._table.set(key, State.CONTENDED, self._contended_text(key))
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
        self._fail(
            key, kind.refusal(error, change.fields) if isinstance(kind, LinkKind) else f"the kernel refused: {error}"
        )
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
        self._parts.callbacks.done(ChangeResult(change, self._number, seconds, repair, error, culprit))

    # repairs ---------------------------------------------------------------------------------------------------

    def _counts(self, change: Change) -> bool:
        """Counts a repair, once in a pass; returns whether its budget pays for it.

        It pays only for what is no consequence of another repair in the same pass.
        """
        key = change.key
        one, row = self._graph.desired.get(key), self._row(key)
        if one is None or row is None or key in self._repaired:
            return False
        contention = registry()[key.kind].traits.contention
        row.contention = next((contention[name] for name in change.fields if name in contention), "")
        self._repaired.add(key)
        row.repairs += 1
        row.last_repair = self._parts.clock.time()
        return not self._is_consequence(one)

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
        row = self._row(key)
        known = row.contention if row is not None else ""
        return known or "another program keeps changing it" + self._culprit_text(key)

    def _culprit_text(self, key: Key) -> str:
        culprit = self._culprit(key)
        return f": last {culprit}" if culprit else ""

    def _culprit(self, key: Key) -> str:
        """The process that changed it last, if the kernel names it: it does for nftables."""
        in_nftables = isinstance(registry()[key.kind], GroupKind) or registry()[key.kind].traits.in_foreign_chains
        return self._parts.kernel.culprit(key.netns) if in_nftables else ""

    def _now(self) -> float:
        return self._parts.clock.monotonic()
