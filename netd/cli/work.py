"""One run of the engine by ``apply`` or ``down``: its plan, its progress, and the rest after Ctrl-C."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator

from netd.engine.apply.executor import Executor
from netd.engine.reconciler import Reconciler
from netd.model.change import Change, ChangeResult
from netd.model.key import Key

from . import interrupt
from .progress import Progress


class Work:
    """``done`` and ``refused`` are the changes so far, in their order; ``planned`` all objects that were to change."""

    def __init__(self, engine: Reconciler) -> None:
        self.done: list[Change] = []
        self.refused: list[ChangeResult] = []
        self.planned: set[Key] = set()
        self._executions: list[Executor] = []
        self._engine = engine
        engine.callbacks.done = lambda one: self.refused.append(one) if one.error else self.done.append(one.change)
        engine.callbacks.plan = self._plan

    def _plan(self, changes: Collection[Change], execution: Executor) -> None:
        self.planned |= {change.key for change in changes}
        self._executions.append(execution)

    def run(self, portions: Iterator[None], verb: str, left: Callable[[], Collection[Key]]) -> int | None:
        """Runs to the end: None. After Ctrl-C: the exit status, after a line that says what was done and what was not.

        ``left`` compares anew, and names the objects that still differ.
        """
        try:
            with Progress(self._progress):
                for _ in portions:
                    pass
        except KeyboardInterrupt:
            interrupt.guard_end(f"interrupted: run 'netd {verb}' again to complete it")
            self._engine.ledger.flush()
            if not self.planned:
                return interrupt.tell("interrupted before anything was changed")
            missing = self.planned & set(left())
            made = f"{len(self.planned) - len(missing)} of {len(self.planned)} objects were changed"
            rest = f"run 'netd {verb}' again for the other {len(missing)}" if missing else "none is missing"
            return interrupt.tell(f"interrupted: {made}; {rest}")
        return None

    def _progress(self, seconds: float) -> str:
        sent = sum(execution.sent for execution in itertools.islice(self._executions, len(self._executions)))
        if not self.planned:
            return f"comparing the files with the network, {seconds:.0f} s"
        return f"{len(self.planned)} objects to change, {sent} operations done, {seconds:.0f} s"
