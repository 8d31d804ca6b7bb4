"""The engine as the daemon and the commands use it: takes in configurations and events, and begins passes.

``netd diff`` is the pass that stops once it has compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from typing import Any

from netd.errors import as_refusal
from netd.kernel.kernel import Kernel
from netd.kinds import registry
from netd.model.attach import AttachTarget
from netd.model.change import Change, ChangeResult
from netd.model.desired import Desired
from netd.model.invalidation import EVERYTHING, Invalidation
from netd.model.key import Key
from netd.model.status import State, Status

from .commit import Commit
from .compare.decision import Evaluation
from .faults import Faults
from .ledger import Ledger
from .ownership.orphans import find_orphans
from .ownership.retargeted import retarget_namespaces
from .parts import Callbacks, Clock, Parts
from .reconcile_pass import Pass
from .record import Record
from .scope import Scope, declared_by_none_but
from .status.diagnostics import with_faults

#: Seconds between two evaluations, by a command, of what cannot be used yet.
POLL = 0.05


class Reconciler:
    """Keeps the kernel as the files declare it. ``on_done`` gets every change, ``on_state`` every new state.

    ``locate`` finds a foreign namespace; MACs are derived with ``mac_key``; ``faults`` are kept, whatever files say.
    """

    def __init__(
        self,
        kernel: Kernel,
        ledger: Ledger,
        locate: Callable[[str], AttachTarget] = AttachTarget,
        *,
        watch: bool = False,
        mac_key: bytes = b"",
        clock: Clock = time,
        faults: Faults | None = None,
        on_done: Callable[[ChangeResult], None] = lambda done: None,
        on_state: Callable[[Status, State | None], None] = lambda status, before: None,
    ) -> None:
        self.callbacks = Callbacks(on_done, on_state)
        self._clock = clock
        self.faults = Faults() if faults is None else faults
        self._declared: Mapping[Key, Desired] = {}
        parts = self._parts = Parts(kernel, ledger, locate, self.callbacks, watch=watch, mac_key=mac_key, clock=clock)
        self.kernel, self.ledger, self.mirror, self.graph = kernel, ledger, parts.mirror, parts.graph
        self.attached, self.table, self.backoff = parts.attached, parts.table, parts.backoff
        self.files_of = parts.files_of

    @property
    def passes(self) -> int:
        """How many began."""
        return self._parts.passes

    @property
    def plans(self) -> int:
        """How many began: passes that had something to change."""
        return self._parts.plans

    # configuration ---------------------------------------------------------------------------------------------

    def set_desired(self, desired: Mapping[Key, Desired], unknown: Set[str] = frozenset()) -> set[Key]:
        """A new configuration; returns the objects that are new, changed, or no longer declared.

        ``unknown``: files whose declarations are unknown: what they declared before stays as it is.
        """
        self._parts.unknown = unknown
        self._declared = desired
        desired = self.faults.applied(desired, self._clock.monotonic())
        retarget_namespaces(desired, self.ledger, self.attached)
        changed = self.graph.set_desired(desired)
        # What was read where it was found before.
        moved = self.attached.set_desired(desired, self.ledger)
        self.mirror.invalidate([Invalidation("namespace", name) for name in moved])
        with self.mirror.reading():
            changed |= self.graph.refresh_auto_mtu()
        for key in changed:
            self.backoff.reset(key)
            self.table.clear_diverged(key)
        self.table.keep(desired.keys())
        firewalled = {key.netns for key in changed} & self.graph.firewalled.keys()
        self.mirror.invalidate([Invalidation("nft", netns) for netns in firewalled])
        return changed | set(self.graph.undeclared)

    def faults_changed(self) -> set[Key]:
        """A fault began, ended, or is in another phase; returns the objects to evaluate again."""
        return self.set_desired(self._declared, self._parts.unknown)

    def fault_texts(self) -> Mapping[Key, str]:
        """The objects that have a fault, and which."""
        return self.faults.shown(self.graph.providers, self._clock.monotonic())

    # comparing -------------------------------------------------------------------------------------------------

    def compare(self, scope: Scope) -> tuple[list[Change], list[Status]]:
        """What differs, and what is pending; writes nothing anywhere."""
        keys = self._parts.in_scope([*self.graph.desired, *self.graph.undeclared], scope)
        evaluation = Evaluation(scope.withdraws)
        with self.mirror.reading():
            for key in self.graph.in_order(keys):
                self._parts.evaluator.evaluate(key, evaluation)
        for key, decision in evaluation.decisions.items():
            if key in self.graph.desired:
                self.table.set(key, decision.state, decision.reason, decision.unusable)
        changes = [decision.change for decision in evaluation.decisions.values() if decision.change is not None]
        return changes, with_faults(self.statuses(scope), self.fault_texts())

    # doing -----------------------------------------------------------------------------------------------------

    def converge(
        self,
        keys: Collection[Key] | None = None,
        scope: Scope | None = None,
        *,
        drift: bool = False,
        involved: set[Key] | None = None,
    ) -> Iterator[None]:
        """Brings these objects (None: all) to what is declared; yields between portions of work.

        ``involved`` is filled with what it is about to change, and the dependents: in between, another pass may repair
        other objects.
        """
        chosen = set(self.graph.desired) | self.graph.undeclared if keys is None else set(keys)
        involved = set() if involved is None else involved
        scope = scope or Scope()
        self._parts.passes += 1
        with self.mirror.reading():
            commit = Commit(self._parts, scope, self._parts.passes, drift=drift)
            yield from Pass(self._parts, scope, commit, involved).run(chosen)

    def events(self) -> list[Invalidation]:
        """What changed since the last time; EVERYTHING if that is unknown."""
        return self.mirror.events()

    def invalidate(self, events: Iterable[Invalidation]) -> set[Key]:
        """Events name what is no longer known; returns the objects to evaluate again."""
        with self.mirror.reading():
            return self._parts.concerned(self.mirror.invalidate(events))

    def target_moved(self, source: str) -> set[Key]:
        """A foreign namespace is somewhere else now, or gone; returns the objects to evaluate again."""
        return self.invalidate([Invalidation("namespace", name) for name in self.attached.target_moved(source)])

    def due_again(self) -> set[Key]:
        """Objects whose wait is over: failed, contended and diverged ones."""
        ready = self.backoff.take_due(self._clock.monotonic())
        for key in ready:
            self.table.clear_diverged(key)
        return ready

    def invalidate_all(self) -> set[Key]:
        """Forgets all that was read: the resync."""
        return self.invalidate([EVERYTHING])

    def wait_until_usable(self, scope: Scope, seconds: float, few: float) -> Iterator[None]:
        """For commands, which get no events: evaluates again what cannot be used yet, for ``seconds``; only
        for a ``few`` if it does not become usable by itself."""
        started = self._clock.monotonic()
        while True:
            passed = self._clock.monotonic() - started
            waiting = {key for key, why in self.table.unusable().items() if passed < (seconds if why.passes else few)}
            waiting = set(self._parts.in_scope(waiting, scope))
            if not waiting:
                return
            self._clock.sleep(POLL)
            ends = {end.link.netns for key in waiting for end in self.graph.desired[key].ends}
            self.invalidate(Invalidation("namespace", netns) for netns in ends | {key.netns for key in waiting})
            yield from self.converge(waiting, scope)

    def fail(self, key: Key, error: Exception) -> None:
        """A pass over this object alone raised an exception: it has failed, and is tried again later."""
        refusal = as_refusal(error)
        commit = Commit(self._parts, Scope(), self.passes, drift=False)
        commit.unreadable(key, f"internal error of netd: {refusal}", refusal)

    def take_down(
        self, files: frozenset[str] | None, *, adopted: bool = False, orphans: bool = False
    ) -> Iterator[None]:
        """Removes what the ledger knows; of ``files`` only what no other existing file declares, too."""
        self.set_desired({})
        keys = set()
        for key in self.graph.undeclared:
            record = self.ledger.records.get(key)
            if record is not None and (files is None or declared_by_none_but(record.files, files)):
                keys.add(key)
                whole = registry()[key.kind].traits.provides_links or key.is_namespace
                if adopted and not record.made and whole:
                    self._parts.evaluator.forced.add(key)
        if orphans:
            for key, data in self.find_orphans().items():
                self.ledger.put(key, Record("intent", locator=data))
                keys.add(key)
            self.table.orphans = ()
            self.set_desired({})
        # Dependents of what is removed are not declared here either: they stay.
        yield from self.converge(keys, Scope(keys=frozenset(keys)) if files is not None else None)

    def find_orphans(self) -> Mapping[Key, Mapping[str, Any]]:
        """Objects with netd's mark that neither a file nor the ledger knows; the status has them from now on."""
        found = find_orphans(self.graph, self.ledger, self.mirror)
        self.table.orphans = found.keys()
        return found

    def statuses(self, scope: Scope | None = None) -> list[Status]:
        """The rows of all declared objects, in the order of the files."""
        scope = scope or Scope()
        return self.table.statuses(self._parts.in_scope(self.graph.desired, scope))
