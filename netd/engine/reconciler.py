"""The round: compare, plan, execute, read again, until nothing is left to do.

First build, change of the files, drift, restart and ``netd apply`` are the same round with another scope; ``netd diff``
is the round that stops before it executes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from netd.errors import Changed, KernelError
from netd.kernel.kernel import Kernel
from netd.kinds import registry
from netd.model.attach import Place
from netd.model.change import Change
from netd.model.desired import Desired
from netd.model.dirty import EVERYTHING, Dirty
from netd.model.key import HOST, Key
from netd.model.status import State, Status

from .apply.executor import Execution
from .apply.owed_restores import Owing
from .apply.plan import Planner
from .compare.diff import Verdict, diverged_text, first
from .compare.evaluate import BLOCKING, Look
from .graph.dependencies import Index
from .ledger import Ledger, Record
from .observe.attached import Sources
from .observe.mirror import Mirror
from .ownership.orphans import find_orphans
from .ownership.recorder import Bookkeeping
from .ownership.retargeted import keep_former
from .scope import Scope, declared_by_none_but
from .status.backoff import Pacing
from .status.table import Rows

#: Looks at one object in one round before it counts as diverged or failed.
ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Done:
    """One change that was carried out, or refused (``error``). ``seconds`` is the round's time until then."""

    change: Change
    round: int
    seconds: float
    drift: bool
    error: str = ""


@dataclass(slots=True)
class _Round:
    """What one round keeps in mind."""

    attempts: dict[Key, int] = field(default_factory=dict)
    done: dict[Key, Change] = field(default_factory=dict)
    counted: set[Key] = field(default_factory=set)


class Engine:
    """Keeps the kernel as the files want it. ``on_done`` and ``on_state`` are told what happens.

    ``locate`` tells where another's namespace is found.
    """

    def __init__(
        self,
        kernel: Kernel,
        ledger: Ledger,
        locate: Callable[[str], Place] = Place,
        *,
        watch: bool = False,
        on_done: Callable[[Done], None] = lambda done: None,
        on_state: Callable[[Status, State | None], None] = lambda status, before: None,
    ) -> None:
        self.kernel = kernel
        self.ledger = ledger
        self.mirror = Mirror(kernel, watch=watch)
        self.pacing = Pacing()
        self.rounds = self.plans = 0
        self.rows = Rows(self._file_of, lambda status, before: self.on_state(status, before))
        self._books = Bookkeeping(ledger, self.mirror)
        self._watch = watch
        self.on_done = on_done
        self.on_state = on_state
        self.sources = Sources(kernel, locate)
        self.index = Index(ledger, self.mirror)
        self._owing = Owing(self.index, self.rows)
        self._look = Look(self.index, self.rows, ledger, self.mirror, self.sources)
        self._unknown: Set[str] = frozenset()

    # configuration ---------------------------------------------------------------------------------------------

    def take(self, desired: Mapping[Key, Desired], unknown: Set[str] = frozenset()) -> set[Key]:
        """A new configuration; returns the objects that are new, changed, or no longer declared.

        ``unknown``: files that declare nobody knows what: what they declared before stays as it is.
        """
        self._unknown = unknown
        keep_former(desired, self.ledger, self.sources)
        changed = self.index.take(desired)
        for name in self.sources.take(desired, self.ledger):
            # What was found, or not, where it was looked for before.
            self.mirror.forget(Dirty("namespace", name))
        with self.mirror.looking():
            changed |= self.index.follow()
        for key in changed:
            self.pacing.forget(key)
            self.rows.look_anew(key)
        self.rows.keep(desired.keys())
        for netns in {key.netns for key in changed} & self.index.firewalled.keys():
            self.mirror.forget(Dirty("nft", netns))
        return changed | set(self.index.undeclared)

    # looking ---------------------------------------------------------------------------------------------------

    def _in_scope(self, key: Key, scope: Scope) -> bool:
        if scope.keys is not None and key not in scope.keys:
            return False
        one = self.index.desired.get(key)
        if one is None:
            record = self.ledger.get(key)
            if record is None:
                return False
            stays = not scope.prune or not self._unknown.isdisjoint(record.files)
            if stays and key not in self.index.rivals:
                return False
            return scope.covers(record.files)
        return scope.covers(origin.file for origin in one.origins)

    def compare(self, scope: Scope) -> tuple[list[Change], list[Status]]:
        """What differs, and what is pending; writes nothing anywhere."""
        keys = {key for key in (*self.index.desired, *self.index.undeclared) if self._in_scope(key, scope)}
        verdicts = self._look.judge(keys, withdraw=scope.prune)
        for key, verdict in verdicts.items():
            if key in self.index.desired:
                self.rows.set(key, verdict.state, verdict.reason)
        changes = [verdict.change for verdict in verdicts.values() if verdict.change is not None]
        return changes, self.statuses(scope)

    # doing -----------------------------------------------------------------------------------------------------

    def converge(
        self, keys: Collection[Key] | None = None, scope: Scope | None = None, *, drift: bool = False
    ) -> Iterator[None]:
        """Makes these objects (None: all) as declared; yields between portions of work."""
        scope = scope or Scope()
        self.rounds += 1
        started = time.monotonic()
        memo = _Round()
        todo = set(self.index.desired) | self.index.undeclared if keys is None else set(keys)
        while todo:
            now = time.monotonic()
            todo = {key for key in todo if self._in_scope(key, scope) and self.pacing.may(key, now)}
            # However long it is to wait after a refusal: where it cannot leave, the namespace stays.
            todo |= self.index.leaving(todo)
            with self.mirror.looking():
                verdicts = self._look.judge(todo, withdraw=scope.prune)
                changes = [one for key, verdict in verdicts.items() if (one := self._called_for(key, verdict, memo))]
                freed = self._settle(verdicts, {change.key for change in changes}, withdrawn=scope.prune)
                if not changes:
                    todo = freed
                    continue
                self.plans += 1
                self._books.remember(changes, self.index)
                execution = Execution(self.mirror, self.index.hangs_on, self._books)
                planner = Planner(self.index, self.mirror, self.ledger.get, lambda key: self._in_scope(key, scope))
                stages = planner.plan(changes)
                unread = {key: verdict.error for key, verdict in verdicts.items() if verdict.error is not None}
                unread |= planner.failed
                execution.refuse(unread, self.index.in_need(unread))
                yield from execution.run(stages)
                topics = execution.read_again()
            todo = self._account(changes, execution, memo, started, drift)
            todo |= freed | self.index.concerned(topics) | self._heard()
        self.ledger.flush()

    def _heard(self) -> set[Key]:
        """Our own writes come back as events: taken in before the next look, so that each thing is read once."""
        if not self._watch:
            return set()
        return self.hear(self.kernel.drain())

    def hear(self, events: Iterable[Dirty]) -> set[Key]:
        """Events name what is no longer known; returns the objects to compare again."""
        topics = set()
        with self.mirror.looking():
            for dirty in events:
                topics |= self.mirror.forget(dirty)
        found = self.index.concerned(topics)
        now = time.monotonic()
        for key in found:
            self.pacing.event(key, now)
            row = self.rows.get(key)
            if row is not None and row.diverged is not None:
                self.pacing.later(key, now)
        return found

    def moved(self, source: str) -> set[Key]:
        """Another's namespace is somewhere else now, or gone; returns the objects to compare again."""
        return self.hear([Dirty("namespace", name) for name in self.sources.moved(source)])

    def due_again(self) -> set[Key]:
        """Objects whose wait is over: what failed, what is fought over, what did not read back as written."""
        ready = self.pacing.waiting(time.monotonic())
        for key in ready:
            self.rows.look_anew(key)
        return ready

    def look_again(self) -> set[Key]:
        """Forgets all that was read: the full pass."""
        return self.hear([EVERYTHING])

    def _called_for(self, key: Key, verdict: Verdict, memo: _Round) -> Change | None:
        """The change, unless it was tried often enough in this round."""
        change = verdict.change
        if change is None:
            return None
        if key in self._owing and change.action == "update" and not change.fields:
            return None
        row = self.rows.get(key)
        have = tuple(sorted((name, repr(diff.have)) for name, diff in change.fields.items()))
        if row is not None and row.diverged is not None:
            if row.diverged == have:
                return None
            row.diverged = None
        tries = memo.attempts.get(key, 0)
        if tries >= ATTEMPTS:
            if key in self.index.desired:
                self.rows.row(key).diverged = have
            self.pacing.later(key, time.monotonic())
            return None
        return change

    def _settle(self, verdicts: Mapping[Key, Verdict], changing: set[Key], *, withdrawn: bool) -> set[Key]:
        """Keeps the states of what needs no change now; returns what waited for some of it.

        ``withdrawn``: what is no longer written was put back.
        """
        freed: set[Key] = set()
        for key, verdict in verdicts.items():
            if key in changing:
                continue
            one, before = self.index.desired.get(key), self.rows.get(key)
            if verdict.error is not None:
                self._unread(key, verdict, verdict.error)
                continue
            if before is not None and before.state in BLOCKING and verdict.state not in BLOCKING:
                self.pacing.worked(key)
                freed |= self.index.hanging_on(key) | self._owing.due(key)
            if one is None:
                if verdict.change is None:
                    freed |= self._forget(key)
                continue
            row = self.rows.row(key)
            if verdict.change is None:
                row.diverged = None
            if row.diverged is not None and verdict.change is not None:
                self.rows.set(key, State.DIVERGED, diverged_text(verdict.change) + self._last(key))
                continue
            state = verdict.state
            if state is State.OK and self.pacing.contended(key, time.monotonic()):
                state = State.CONTENDED
            self.rows.set(key, state, verdict.reason if state is not State.CONTENDED else self._contended_text(key))
            if verdict.observed is not None and not verdict.observed.conflict:
                self._books.own(one, verdict.observed, self.index, withdrawn=withdrawn)
        return freed

    def _forget(self, key: Key) -> set[Key]:
        """Nothing of it is left; returns what waited for that. A namespace is known for as long as what is in it."""
        record = self.ledger.get(key)
        if record is None or (key.kind == "namespace" and any(self.index.left_in(key.name))):
            return set()
        self.ledger.forget(key)
        if key.kind == "namespace" and record.data.get("attach"):
            return self._let_in(record.identity.get("cookie"))
        return {Key(HOST, "namespace", key.netns)} & self.index.undeclared

    def _let_in(self, cookie: int | None) -> set[Key]:
        """What waited until nothing was left in a namespace of somebody's that has another name now."""
        names = [key.name for key, one in self.index.namespaces.items() if one.source]
        return self.hear([Dirty("namespace", name) for name in names if cookie and self.mirror.cookie(name) == cookie])

    def _unread(self, key: Key, verdict: Verdict, error: KernelError) -> None:
        """Nobody knows how it is: it is left as it is, and looked at again."""
        self._failed(key, verdict.reason, time.monotonic())
        record = self.ledger.get(key)
        if key not in self.index.desired and record is not None:
            change = Change(key, "delete", {}, first(record.files), None, None)
            self.on_done(Done(change, self.rounds, 0.0, False, str(error)))

    def _contended_text(self, key: Key) -> str:
        return "someone keeps changing it" + self._last(key)

    def _last(self, key: Key) -> str:
        """Who changed it last, where the kernel tells."""
        by_nft = registry()[key.kind].together or registry()[key.kind].foreign_rules
        culprit = self.kernel.culprit(key.netns) if by_nft else ""
        return f": last {culprit}" if culprit else ""

    def _account(
        self, changes: Collection[Change], execution: Execution, memo: _Round, started: float, drift: bool
    ) -> set[Key]:
        """After a plan: what is to be looked at again, what failed."""
        again: set[Key] = set()
        now = time.monotonic()
        tried = {change.key for change in changes}
        for change in changes:
            key = change.key
            repair = drift and self.rows.was_sound(key) and not self._books.as_left(change)
            memo.attempts[key] = memo.attempts.get(key, 0) + 1
            error = execution.failed.get(key)
            if key in execution.skipped:
                culprit = execution.skipped[key]
                self.rows.set(key, State.PENDING, f"waits for {culprit}, which failed")
                continue
            again |= {key} | self.index.hanging_on(key)
            if error is not None:
                if isinstance(error, Changed) and memo.attempts[key] < ATTEMPTS:
                    continue
                again.discard(key)
                if repair and self.pacing.quiet(key, now):
                    continue
                self._failed(key, f"the kernel refused: {error}", now)
                self.on_done(Done(change, self.rounds, now - started, repair, str(error)))
                continue
            self._books.made(change, owing=self._owing.note(key, execution, tried))
            again |= self._owing.due(key)
            self.pacing.worked(key)
            self._count(key, memo, repair, now)
            if memo.done.get(key) != change:
                memo.done[key] = change
                self.on_done(Done(change, self.rounds, now - started, repair))
        return again

    def _failed(self, key: Key, reason: str, now: float) -> None:
        self.pacing.failed(key, now)
        if key in self.index.desired:
            self.rows.set(key, State.FAILED, reason)

    def _count(self, key: Key, memo: _Round, drift: bool, now: float) -> None:
        """A repair counts once a round, and not when what the object hangs on was repaired in the same round."""
        one = self.index.desired.get(key)
        if not drift or one is None or key in memo.counted:
            return
        memo.counted.add(key)
        row = self.rows.row(key)
        row.repairs += 1
        row.last_repair = time.time()
        providers = {self.index.providers.get(link) for link in (*one.needs, *one.wants)}
        providers |= {Key("", "namespace", netns) for netns in (key.netns, *one.namespaces) if netns}
        follows = registry()[key.kind].follows
        consequence = (providers - {key}) & memo.counted or any(
            other.netns == key.netns and other.kind in follows for other in memo.counted
        )
        if not consequence and self.pacing.repaired(key, now):
            self.rows.set(key, State.CONTENDED, self._contended_text(key))

    def take_down(
        self, files: frozenset[str] | None, *, adopted: bool = False, orphans: bool = False
    ) -> Iterator[None]:
        """Takes away what the ledger knows; of ``files`` only what no other file that is there declares too."""
        self.take({})
        keys = set()
        for key in self.index.undeclared:
            record = self.ledger.get(key)
            if record is not None and (files is None or declared_by_none_but(record.files, files)):
                keys.add(key)
                if adopted and not record.made and (registry()[key.kind].makes_links or key.kind == "namespace"):
                    self._look.forced.add(key)
        if orphans:
            for key, data in self.find_orphans().items():
                self.ledger.put(key, Record("intent", data=data))
                keys.add(key)
            self.rows.orphans = ()
            self.take({})
        # What is taken away concerns others that nothing declares here either: they stay.
        yield from self.converge(keys, Scope(keys=frozenset(keys)) if files is not None else None)

    def find_orphans(self) -> Mapping[Key, Mapping[str, Any]]:
        """What carries netd's mark and nobody knows; it is told of from now on."""
        found = find_orphans(self.index, self.ledger, self.mirror)
        self.rows.orphans = found.keys()
        return found

    def statuses(self, scope: Scope | None = None) -> list[Status]:
        """The rows of all declared objects, in the order of the files."""
        scope = scope or Scope()
        return self.rows.statuses(key for key in self.index.desired if self._in_scope(key, scope))

    def _file_of(self, key: Key) -> str:
        one = self.index.desired.get(key)
        return one.file if one else ""
