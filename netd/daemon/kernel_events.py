"""The kernel's events: each batch becomes a pass over the objects that it concerns, at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from netd.engine.reconciler import Reconciler
from netd.model.invalidation import EVERYTHING

from .attention import Attention
from .passes import Passes

#: Seconds for which events are collected while other programs change what must not be repaired yet.
PAUSE = 0.02


class KernelEvents:
    """``before`` is called before events are taken in, ``lost`` where some were lost; ``guarded`` calls something, and
    copes with what it raises."""

    def __init__(
        self,
        engine: Reconciler,
        passes: Passes,
        *,
        before: Callable[[], None],
        lost: Callable[[], None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._engine = engine
        self._passes = passes
        self._before = before
        self._lost = lost
        self._guarded = guarded
        self._descriptors: Sequence[int] = ()
        self._attention = Attention()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Handles events from now on."""
        self._descriptors = self._engine.kernel.start_watching()
        self._listen()

    def handle(self) -> None:
        """Takes in what has happened until now."""
        self._guarded(self._handle)

    def _on_timer(self) -> None:
        self._timer = None
        self.handle()

    def _handle(self) -> None:
        self._before()
        began = time.monotonic()
        events = self._attention.sift(self._engine.events(), began)
        if events:
            if EVERYTHING in events:
                self._lost()
            plans = self._engine.plans
            self._passes.start(concerned := self._engine.invalidate(events), drift=True)
            idle, now = plans == self._engine.plans, time.monotonic()
            self._attention.charge(events, now - began, now, idle=idle)
            if idle and len(self._engine.backoff.due(concerned, now)) < len(concerned):
                self._pause()
        self._arm_timer()
        if self._engine.kernel.needs_drain:
            asyncio.get_running_loop().call_soon(self.handle)

    def _arm_timer(self) -> None:
        due = self._attention.next_due()
        if due is not None and self._timer is None:
            delay = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _listen(self) -> None:
        for descriptor in self._descriptors:
            asyncio.get_running_loop().add_reader(descriptor, self.handle)

    def _pause(self) -> None:
        """Nothing could be repaired: what else happens now is taken in together, later."""
        loop = asyncio.get_running_loop()
        for descriptor in self._descriptors:
            loop.remove_reader(descriptor)
        loop.call_later(PAUSE, self._listen)
