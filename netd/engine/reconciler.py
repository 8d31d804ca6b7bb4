"""The round: compare, plan, execute, read again, until nothing is left to do.

First build, change of the files, drift, restart and ``netd apply`` are the same round with another scope; ``netd diff``
is the round that stops before it executes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from netd.errors import Changed, KernelError, as_refusal
from netd.kernel.kernel import Kernel
from netd.kinds import registry
from netd.kinds.base.group_kind import GroupKind
from netd.kinds.base.roles import BecomesUsable
from netd.model.attach import AttachTarget
from netd.model.change import Change
from netd.model.desired import Desired
from netd.model.invalidation import EVERYTHING, Invalidation
from netd.model.key import NAMESPACE_KIND, Key, namespace_key
from netd.model.status import State, Status

from .announcements import Announcements
from .apply.executor import Executor
from .apply.owed_restores import OwedRestores
from .apply.plan import Planner
from .compare.decision import Decision, diverged_text, first
from .compare.evaluate import Evaluator
from .compare.prerequisites import BLOCKING
from .graph.dependencies import DependencyGraph
from .ledger import Ledger
from .observe.attached import AttachedNamespaces
from .observe.mirror import Mirror
from .ownership.orphans import find_orphans
from .ownership.recorder import LedgerRecorder
from .ownership.retargeted import retarget_namespaces
from .portions import Portions
from .record import Record
from .scope import Scope, declared_by_none_but
from .status.backoff import Backoff
from .status.objects import ObjectStates
from .status.table import StatusTable

#: Looks at one object in one round before it counts as diverged or failed.
ATTEMPTS = 4
#: Seconds between two looks of a command at what cannot be used yet.
POLL = 0.05


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """One change that was carried out, or refused (``error``). ``seconds`` is the round's time until then."""

    change: Change
    round: int
    seconds: float
    drift: bool
    error: str = ""


@dataclass(slots=True)
class _Pass:
    """What one round keeps in mind."""

    attempts: dict[Key, int] = field(default_factory=dict)
    done: dict[Key, Change] = field(default_factory=dict)
    counted: set[Key] = field(default_factory=set)


class Reconciler:
    """Keeps the kernel as the files want it. ``on_done`` and ``on_state`` are told what happens.

    ``locate`` tells where another's namespace is found, ``mac_key`` is what MACs are derived with.
    """

    def __init__(
        self,
        kernel: Kernel,
        ledger: Ledger,
        locate: Callable[[str], AttachTarget] = AttachTarget,
        *,
        watch: bool = False,
        mac_key: bytes = b"",
        on_done: Callable[[ChangeResult], None] = lambda done: None,
        on_state: Callable[[Status, State | None], None] = lambda status, before: None,
    ) -> None:
        self.kernel = kernel
        self.ledger = ledger
        self.mirror = Mirror(kernel, watch=watch)
        self._states = ObjectStates()
        self.backoff = Backoff(self._states)
        self.passes = self.plans = 0
        self.table = StatusTable(self._states, self._file_of, lambda status, before: self.on_state(status, before))
        self._recorder = LedgerRecorder(ledger, self.mirror, mac_key)
        self._watch = watch
        self.on_done = on_done
        self.on_state = on_state
        #: Told of each plan before it is executed: its changes, and the execution, which counts what it has sent.
        self.on_plan: Callable[[Collection[Change], Executor], None] = lambda changes, execution: None
        self.attached = AttachedNamespaces(kernel, locate)
        self.graph = DependencyGraph(ledger, self.mirror)
        self._owed = OwedRestores(self.graph, self.table)
        self._evaluator = Evaluator(self.graph, self.table, ledger, self.mirror, self.attached)
        self._announcements = Announcements(kernel, self.graph, self.table)
        self._unknown: Set[str] = frozenset()

    # configuration ---------------------------------------------------------------------------------------------

    def set_desired(self, desired: Mapping[Key, Desired], unknown: Set[str] = frozenset()) -> set[Key]:
        """A new configuration; returns the objects that are new, changed, or no longer declared.

        ``unknown``: files that declare nobody knows what: what they declared before stays as it is.
        """
        self._unknown = unknown
        retarget_namespaces(desired, self.ledger, self.attached)
        changed = self.graph.set_desired(desired)
        for name in self.attached.set_desired(desired, self.ledger):
            # What was found, or not, where it was looked for before.
            self.mirror.invalidate(Invalidation("namespace", name))
        with self.mirror.reading():
            changed |= self.graph.refresh_auto_mtu()
        for key in changed:
            self.backoff.reset(key)
            self.table.clear_diverged(key)
        self.table.keep(desired.keys())
        self._states.drop_empty(desired.keys())
        for netns in {key.netns for key in changed} & self.graph.firewalled.keys():
            self.mirror.invalidate(Invalidation("nft", netns))
        return changed | set(self.graph.undeclared)

    # looking ---------------------------------------------------------------------------------------------------

    def _in_scope(self, key: Key, scope: Scope) -> bool:
        if scope.keys is not None and key not in scope.keys:
            return False
        one = self.graph.desired.get(key)
        if one is None:
            record = self.ledger.get(key)
            if record is None:
                return False
            stays = not scope.withdraws(key) or not self._unknown.isdisjoint(record.files)
            if stays and key not in self.graph.displaced_by:
                return False
            return scope.covers(record.files)
        return scope.covers(origin.file for origin in one.origins)

    def compare(self, scope: Scope) -> tuple[list[Change], list[Status]]:
        """What differs, and what is pending; writes nothing anywhere."""
        keys = {key for key in (*self.graph.desired, *self.graph.undeclared) if self._in_scope(key, scope)}
        decisions = self._evaluator.evaluate(keys, withdraw=scope.withdraws)
        for key, decision in decisions.items():
            if key in self.graph.desired:
                self.table.set(key, decision.state, decision.reason, decision.unusable)
        changes = [decision.change for decision in decisions.values() if decision.change is not None]
        return changes, self.statuses(scope)

    # doing -----------------------------------------------------------------------------------------------------

    def converge(
        self,
        keys: Collection[Key] | None = None,
        scope: Scope | None = None,
        *,
        drift: bool = False,
        involved: set[Key] | None = None,
    ) -> Iterator[None]:
        """Makes these objects (None: all) as declared; yields between portions of work.

        ``involved`` has what it is about to change, and all that depends on that: in between, others may be made right
        by another pass.
        """
        scope, portions = scope or Scope(), Portions(involved)
        self.passes += 1
        started = time.monotonic()
        memo = _Pass()
        todo = set(self.graph.desired) | self.graph.undeclared if keys is None else set(keys)
        while todo:
            now = time.monotonic()
            todo = {key for key in todo if self._in_scope(key, scope) and self.backoff.is_due(key, now)}
            # However long it is to wait after a refusal: where it cannot leave, the namespace stays.
            todo |= self.graph.must_leave_first(todo)
            with self.mirror.reading():
                decisions: dict[Key, Decision] = {}
                yield from self._evaluator.in_portions(todo, decisions, portions, withdraw=scope.withdraws)
                changes = [one for key, decision in decisions.items() if (one := self._called_for(key, decision, memo))]
                changing, freed = {change.key for change in changes}, set()
                portions.involved.clear()
                portions.involved |= self.graph.with_dependents(changing)
                for some in portions.slices(tuple(decisions.items())):
                    freed |= self._settle(dict(some), changing, scope, memo)
                    yield from portions.end()
                if not changes:
                    todo = freed
                    continue
                self.plans += 1
                unread: dict[Key, KernelError] = {}
                for part in portions.slices(changes):
                    unread |= self._recorder.record_intent(part, self.graph)
                    yield from portions.end()
                execution = Executor(self.mirror, self.graph.failed_dependency, self._recorder)
                planner = Planner(self.graph, self.mirror, self.ledger.get, lambda key: self._in_scope(key, scope))
                stages = yield from planner.plan(changes, portions)
                unread |= {key: decision.error for key, decision in decisions.items() if decision.error is not None}
                unread |= planner.failed
                execution.refuse(unread, self.graph.needing_removal(unread))
                self.on_plan(changes, execution)
                yield from execution.run(stages, portions)
                watch_keys = yield from execution.read_again(portions)
            todo = set()
            for part in portions.slices(changes):
                todo |= self._account(part, changing, execution, memo, started, drift)
                yield from portions.end()
            todo |= freed | self.graph.affected(watch_keys) | self._heard()
        self.ledger.flush()
        self._announcements.send()

    def events(self) -> list[Invalidation]:
        """What changed since the last time; where that cannot be told, everything."""
        try:
            return self.kernel.drain()
        except Exception:
            return [EVERYTHING]

    def _heard(self) -> set[Key]:
        """Our own writes come back as events: taken in before the next look, so that each thing is read once."""
        if not self._watch:
            return set()
        return self.invalidate(self.events())

    def invalidate(self, events: Iterable[Invalidation]) -> set[Key]:
        """Events name what is no longer known; returns the objects to compare again."""
        watch_keys = set()
        with self.mirror.reading():
            for dirty in events:
                try:
                    watch_keys |= self.mirror.invalidate(dirty)
                except Exception:
                    # Nothing is known of that namespace then, and whoever asks for it is told why.
                    watch_keys |= self.mirror.invalidate(Invalidation("namespace", dirty.netns))
        found = self.graph.affected(watch_keys)
        now = time.monotonic()
        for key in found:
            self.backoff.relevant_event(key, now)
            row = self.table.get(key)
            if row is not None and row.diverged is not None:
                self.backoff.postpone(key, now)
        return found

    def target_moved(self, source: str) -> set[Key]:
        """Another's namespace is somewhere else now, or gone; returns the objects to compare again."""
        return self.invalidate([Invalidation("namespace", name) for name in self.attached.target_moved(source)])

    def due_again(self) -> set[Key]:
        """Objects whose wait is over: what failed, what is fought over, what did not read back as written."""
        ready = self.backoff.take_due(time.monotonic())
        for key in ready:
            self.table.clear_diverged(key)
        return ready

    def invalidate_all(self) -> set[Key]:
        """Forgets all that was read: the full pass."""
        return self.invalidate([EVERYTHING])

    def _called_for(self, key: Key, decision: Decision, memo: _Pass) -> Change | None:
        """The change, unless it was tried often enough in this round."""
        change = decision.change
        if change is None:
            return None
        if key in self._owed and change.action == "update" and not change.fields:
            return None
        row = self.table.get(key)
        have = tuple(sorted((name, repr(diff.have)) for name, diff in change.fields.items()))
        if row is not None and row.diverged is not None:
            if row.diverged == have:
                return None
            row.diverged = None
        tries = memo.attempts.get(key, 0)
        if tries >= ATTEMPTS:
            if key in self.graph.desired:
                self.table.row(key).diverged = have
            self.backoff.postpone(key, time.monotonic())
            return None
        return change

    def _settle(self, decisions: Mapping[Key, Decision], changing: set[Key], scope: Scope, memo: _Pass) -> set[Key]:
        """Keeps the states of what needs no change now; returns what waited for some of it."""
        freed: set[Key] = set()
        for key, decision in decisions.items():
            if key in changing:
                continue
            one, before = self.graph.desired.get(key), self.table.get(key)
            if decision.error is not None:
                self._unread(key, decision, decision.error)
                continue
            if before is not None and before.state in BLOCKING and decision.state not in BLOCKING:
                self.backoff.succeeded(key)
                freed |= self.graph.dependents(key) | self._owed.due(key)
            if one is None:
                if decision.change is None:
                    freed |= self._forget(key)
                continue
            known = before.state if before is not None else None
            row = self.table.row(key)
            if decision.change is None:
                row.diverged = None
            if row.diverged is not None and decision.change is not None:
                self.table.set(key, State.DIVERGED, diverged_text(decision.change) + self._last(key))
                continue
            state = decision.state
            if state is State.OK and self.backoff.contended(key, time.monotonic()):
                state = State.CONTENDED
            reason = decision.reason if state is not State.CONTENDED else self._contended_text(key)
            self.table.set(key, state, reason, decision.unusable)
            if state is State.OK:
                self._announcements.note(key, known, memo.done.get(key))
            if decision.observed is not None and not decision.observed.conflict:
                try:
                    withdrawn = scope.withdraws(key)
                    self._recorder.record_found(one, decision.observed, self.graph, withdrawn=withdrawn)
                except Exception as error:
                    refusal = as_refusal(error)
                    self._unread(key, Decision(State.FAILED, f"cannot be recorded: {refusal}", error=refusal), refusal)
        return freed

    def _forget(self, key: Key) -> set[Key]:
        """Nothing of it is left; returns what waited for that. A namespace is known for as long as what is in it."""
        record = self.ledger.get(key)
        if record is None or (key.kind == NAMESPACE_KIND and any(self.graph.undeclared_in(key.name))):
            return set()
        self.ledger.forget(key)
        if key.kind == NAMESPACE_KIND and record.locator.get("attach"):
            return self._let_in(record.identity.get("cookie"))
        return {namespace_key(key.netns)} & self.graph.undeclared

    def _let_in(self, cookie: int | None) -> set[Key]:
        """What waited until nothing was left in a namespace of somebody's that has another name now."""
        names = [key.name for key, one in self.graph.namespaces.items() if one.source]
        return self.invalidate(
            [Invalidation("namespace", name) for name in names if cookie and self.mirror.cookie(name) == cookie]
        )

    def _unread(self, key: Key, decision: Decision, error: KernelError) -> None:
        """Nobody knows how it is: it is left as it is, and looked at again."""
        self._failed(key, decision.reason, time.monotonic())
        record = self.ledger.get(key)
        if key not in self.graph.desired and record is not None:
            change = Change(key, "delete", {}, first(record.files), None, None)
            self.on_done(ChangeResult(change, self.passes, 0.0, False, str(error)))

    def _contended_text(self, key: Key) -> str:
        return "someone keeps changing it" + self._last(key)

    def _last(self, key: Key) -> str:
        """Who changed it last, where the kernel tells."""
        by_nft = isinstance(registry()[key.kind], GroupKind) or registry()[key.kind].traits.in_foreign_chains
        culprit = self.kernel.culprit(key.netns) if by_nft else ""
        return f": last {culprit}" if culprit else ""

    def _account(
        self,
        changes: Collection[Change],
        tried: Set[Key],
        execution: Executor,
        memo: _Pass,
        started: float,
        drift: bool,
    ) -> set[Key]:
        """After a plan: what is to be looked at again, what failed."""
        again: set[Key] = set()
        now = time.monotonic()
        for change in changes:
            key = change.key
            repair = drift and self.table.was_ok(key) and not self._recorder.as_left(change)
            memo.attempts[key] = memo.attempts.get(key, 0) + 1
            error = execution.failed.get(key)
            if key in execution.skipped:
                culprit = execution.skipped[key]
                self.table.set(key, State.PENDING, f"waits for {culprit}, which failed")
                continue
            again |= {key} | self.graph.dependents(key)
            if error is not None:
                if isinstance(error, Changed) and memo.attempts[key] < ATTEMPTS:
                    continue
                again.discard(key)
                if repair and self.backoff.suppress_first_failure(key, now):
                    continue
                if self._refused_for_now(key, now):
                    continue
                self._failed(key, f"the kernel refused: {error}", now)
                self.on_done(ChangeResult(change, self.passes, now - started, repair, str(error)))
                continue
            self._recorder.record_made(change, owing=self._owed.note(key, execution, tried))
            again |= self._owed.due(key)
            self.backoff.succeeded(key)
            self._count(key, memo, repair, now)
            if memo.done.get(key) != change:
                memo.done[key] = change
                self.on_done(ChangeResult(change, self.passes, now - started, repair))
        return again

    def _refused_for_now(self, key: Key, now: float) -> bool:
        """Whether the kernel refuses it only because something else is not usable yet: then it is pending."""
        one, kind = self.graph.desired.get(key), registry()[key.kind]
        if one is None or not isinstance(kind, BecomesUsable):
            return False
        with self.mirror.reading():
            until = kind.refused_until(one, self.mirror)
        if until is None:
            return False
        self.backoff.failed(key, now)
        self.table.set(key, State.PENDING, until.reason, until)
        return True

    def wait_until_usable(self, scope: Scope, seconds: float, few: float) -> Iterator[None]:
        """For commands, which hear no events: looks again at what cannot be used yet; at what does not get so by
        itself for only a ``few`` seconds."""
        started = time.monotonic()
        while True:
            passed = time.monotonic() - started
            waiting = {key for key, why in self.table.unusable().items() if passed < (seconds if why.passes else few)}
            waiting = {key for key in waiting if self._in_scope(key, scope)}
            if not waiting:
                return
            time.sleep(POLL)
            ends = {end.link.netns for key in waiting for end in self.graph.desired[key].ends}
            self.invalidate(Invalidation("namespace", netns) for netns in ends | {key.netns for key in waiting})
            yield from self.converge(waiting, scope)

    def fail(self, key: Key, error: Exception) -> None:
        """A pass over this object alone threw: it has failed, and is tried again later, as what is refused is."""
        refusal = as_refusal(error)
        self._unread(key, Decision(State.FAILED, f"netd failed over it: {refusal}", error=refusal), refusal)

    def _failed(self, key: Key, reason: str, now: float) -> None:
        self.backoff.failed(key, now)
        if key in self.graph.desired:
            self.table.set(key, State.FAILED, reason)

    def _count(self, key: Key, memo: _Pass, drift: bool, now: float) -> None:
        """A repair counts once a round, and not when what the object hangs on was repaired in the same round."""
        one = self.graph.desired.get(key)
        if not drift or one is None or key in memo.counted:
            return
        memo.counted.add(key)
        row = self.table.row(key)
        row.repairs += 1
        row.last_repair = time.time()
        providers = {self.graph.providers.get(link) for link in (*one.requires, *one.after)}
        providers |= {namespace_key(netns) for netns in (key.netns, *one.namespaces) if netns}
        follows = registry()[key.kind].traits.lost_with
        consequence = (providers - {key}) & memo.counted or any(
            other.netns == key.netns and other.kind in follows for other in memo.counted
        )
        if not consequence and self.backoff.repaired(key, now):
            self.table.set(key, State.CONTENDED, self._contended_text(key))

    def take_down(
        self, files: frozenset[str] | None, *, adopted: bool = False, orphans: bool = False
    ) -> Iterator[None]:
        """Takes away what the ledger knows; of ``files`` only what no other file that is there declares too."""
        self.set_desired({})
        keys = set()
        for key in self.graph.undeclared:
            record = self.ledger.get(key)
            if record is not None and (files is None or declared_by_none_but(record.files, files)):
                keys.add(key)
                if (
                    adopted
                    and not record.made
                    and (registry()[key.kind].traits.provides_links or key.kind == NAMESPACE_KIND)
                ):
                    self._evaluator.forced.add(key)
        if orphans:
            for key, data in self.find_orphans().items():
                self.ledger.put(key, Record("intent", locator=data))
                keys.add(key)
            self.table.orphans = ()
            self.set_desired({})
        # What is taken away concerns others that nothing declares here either: they stay.
        yield from self.converge(keys, Scope(keys=frozenset(keys)) if files is not None else None)

    def find_orphans(self) -> Mapping[Key, Mapping[str, Any]]:
        """What carries netd's mark and nobody knows; it is told of from now on."""
        found = find_orphans(self.graph, self.ledger, self.mirror)
        self.table.orphans = found.keys()
        return found

    def statuses(self, scope: Scope | None = None) -> list[Status]:
        """The rows of all declared objects, in the order of the files."""
        scope = scope or Scope()
        return self.table.statuses(key for key in self.graph.desired if self._in_scope(key, scope))

    def files_of(self, key: Key) -> Iterable[str]:
        """The files that declare an object, or did."""
        one, record = self.graph.desired.get(key), self.ledger.get(key)
        files = [origin.file for origin in one.origins] if one is not None else []
        return [*files, *(record.files if record is not None else ())]

    def _file_of(self, key: Key) -> str:
        one = self.graph.desired.get(key)
        return one.file if one else ""
