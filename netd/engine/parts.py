"""What all passes share: the components of the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass
from typing import Protocol

from netd.kernel.kernel import Kernel
from netd.model.attach import AttachTarget
from netd.model.change import Change, ChangeResult
from netd.model.invalidation import WatchKey
from netd.model.key import Key
from netd.model.status import State, Status

from .announcements import Announcements
from .apply.executor import Executor
from .apply.owed_restores import OwedRestores
from .compare.evaluate import Evaluator
from .graph.dependencies import DependencyGraph
from .ledger import Ledger
from .observe.attached import AttachedNamespaces
from .observe.mirror import Mirror
from .ownership.intents import Intents
from .ownership.recorder import LedgerRecorder
from .scope import Scope
from .status.backoff import Backoff
from .status.objects import ObjectStates
from .status.table import StatusTable


class Clock(Protocol):
    """As the module ``time``."""

    def monotonic(self) -> float:
        """Seconds since some moment."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float, /) -> None:
        """Returns after that time."""


@dataclass(slots=True)
class Callbacks:
    """What is called in a pass."""

    #: A change was carried out, or refused.
    done: Callable[[ChangeResult], None]
    #: An object has another state than the one before, or another reason for it.
    state: Callable[[Status, State | None], None]
    #: A plan is complete, and nothing of it is sent yet: its changes, and the execution, which counts what it has sent.
    plan: Callable[[Collection[Change], Executor], None] = lambda changes, execution: None


class Parts:
    """``locate`` and ``mac_key`` as of the Reconciler. ``passes`` and ``plans`` count those that began.

    ``unknown``: files whose declarations are unknown.
    """

    def __init__(
        self,
        kernel: Kernel,
        ledger: Ledger,
        locate: Callable[[str], AttachTarget],
        callbacks: Callbacks,
        *,
        watch: bool,
        mac_key: bytes,
        clock: Clock,
    ) -> None:
        self.kernel = kernel
        self.ledger = ledger
        self.callbacks = callbacks
        self.clock = clock
        self.passes = self.plans = 0
        self.unknown: Set[str] = frozenset()
        self.mirror = Mirror(kernel, watch=watch)
        self.attached = AttachedNamespaces(kernel, locate)
        self.graph = DependencyGraph(ledger, self.mirror)
        self.states: ObjectStates = {}
        self.backoff = Backoff(self.states)
        self.table = StatusTable(self.states, self.file_of, lambda status, before: callbacks.state(status, before))
        self.recorder = LedgerRecorder(ledger, self.graph)
        self.intents = Intents(ledger, self.mirror, self.graph, self.recorder.settings, mac_key)
        self.owed = OwedRestores(self.graph, self.states)
        self.evaluator = Evaluator(self.graph, self.states, ledger.records, self.mirror, self.attached.missing)
        self.announcements = Announcements(kernel, self.graph, self.states)

    def in_scope(self, keys: Iterable[Key], scope: Scope) -> list[Key]:
        """Those of these objects that a pass of that scope may touch."""
        return [key for key in keys if self._is_in_scope(key, scope)]

    def _is_in_scope(self, key: Key, scope: Scope) -> bool:
        if scope.keys is not None and key not in scope.keys:
            return False
        one = self.graph.desired.get(key)
        if one is not None:
            return scope.files is None or scope.covers(origin.file for origin in one.origins)
        record = self.ledger.records.get(key)
        if record is None:
            return False
        stays = not scope.withdraws(key) or not self.unknown.isdisjoint(record.files)
        if stays and key not in self.graph.displaced_by:
            return False
        return scope.covers(record.files)

    def concerned(self, watch_keys: Set[WatchKey]) -> set[Key]:
        """The objects that an event on these concerns: to be evaluated again; what waits for it waits no longer."""
        found = self.graph.affected(watch_keys)
        self.backoff.relevant_events(found, self.clock.monotonic())
        return found

    def file_of(self, key: Key) -> str:
        """The file that keeps an object, "" where it is not declared."""
        one = self.graph.desired.get(key)
        return one.file if one else ""

    def files_of(self, key: Key) -> Iterable[str]:
        """The files that declare an object, or did."""
        one, record = self.graph.desired.get(key), self.ledger.records.get(key)
        files = [origin.file for origin in one.origins] if one is not None else []
        return [*files, *(record.files if record is not None else ())]
