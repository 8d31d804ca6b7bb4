"""What all passes share: the components of the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Set
from typing import Protocol

from netd.kernel.kernel import Kernel
from netd.model.attach import AttachTarget
from netd.model.change import Change, ChangeResult
from netd.model.invalidation import Invalidation
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


class Hooks(Protocol):
    """What passes ask of the Reconciler, and report to it."""

    def invalidate(self, events: Iterable[Invalidation]) -> Set[Key]:
        """Returns the objects to evaluate again."""

    def read_events(self) -> Set[Key]:
        """The same, for what changed meanwhile."""

    def planned(self, changes: Collection[Change], execution: Executor) -> None:
        """A plan is complete, and nothing is sent yet."""

    def done(self, result: ChangeResult) -> None:
        """A change was carried out, or refused."""

    def state(self, status: Status, before: State | None) -> None:
        """An object has another state, or another reason for it."""


class Parts:
    """``locate`` and ``mac_key`` as of the Reconciler. ``passes`` and ``plans`` count those that began.

    ``unknown``: files whose declarations are unknown.
    """

    def __init__(
        self,
        kernel: Kernel,
        ledger: Ledger,
        locate: Callable[[str], AttachTarget],
        hooks: Hooks,
        *,
        watch: bool,
        mac_key: bytes,
        clock: Clock,
    ) -> None:
        self.kernel = kernel
        self.ledger = ledger
        self.hooks = hooks
        self.clock = clock
        self.passes = self.plans = 0
        self.unknown: Set[str] = frozenset()
        self.mirror = Mirror(kernel, watch=watch)
        self.attached = AttachedNamespaces(kernel, locate)
        self.graph = DependencyGraph(ledger, self.mirror)
        self.states = ObjectStates()
        self.backoff = Backoff(self.states)
        self.table = StatusTable(self.states, self.file_of, hooks.state)
        self.recorder = LedgerRecorder(ledger, self.mirror, mac_key)
        self.owed = OwedRestores(self.graph, self.table)
        self.evaluator = Evaluator(self.graph, self.table, ledger, self.mirror, self.attached)
        self.announcements = Announcements(kernel, self.graph, self.table)

    def in_scope(self, key: Key, scope: Scope) -> bool:
        """Whether a pass of that scope may touch an object."""
        if scope.keys is not None and key not in scope.keys:
            return False
        one = self.graph.desired.get(key)
        if one is not None:
            return scope.covers(origin.file for origin in one.origins)
        record = self.ledger.get(key)
        if record is None:
            return False
        stays = not scope.withdraws(key) or not self.unknown.isdisjoint(record.files)
        if stays and key not in self.graph.displaced_by:
            return False
        return scope.covers(record.files)

    def file_of(self, key: Key) -> str:
        """The file that keeps an object, "" where it is not declared."""
        one = self.graph.desired.get(key)
        return one.file if one else ""

    def files_of(self, key: Key) -> Iterable[str]:
        """The files that declare an object, or did."""
        one, record = self.graph.desired.get(key), self.ledger.get(key)
        files = [origin.file for origin in one.origins] if one is not None else []
        return [*files, *(record.files if record is not None else ())]
