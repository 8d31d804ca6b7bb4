"""One round after the other: over all that is to be looked at, in portions, so that the loop and the watchdog live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from netd.engine.reconciler import Reconciler
from netd.model.key import Key


class PassCallbacks(NamedTuple):
    """Who is told that rounds ``begin``, that all are ``over`` for now, and that one threw (``broken``)."""

    begin: Callable[[], None]
    over: Callable[[], None]
    broken: Callable[[], None]


class Passes:
    """``converge`` begins a round over some objects; the flag says whether it is for drift. ``stop``: no more rounds.

    ``idle`` is set when all is done, and cleared by whoever waits for that.
    """

    def __init__(
        self,
        engine: Reconciler,
        converge: Callable[[set[Key], bool], Iterator[None]],
        told: PassCallbacks,
        stop: asyncio.Event,
    ) -> None:
        self._engine = engine
        self._converge = converge
        self._told = told
        self._stop = stop
        self._todo: set[Key] = set()
        self._round: Iterator[None] | None = None
        self._drift = False
        self._timer: asyncio.TimerHandle | None = None
        self.idle = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether a round is under way."""
        return self._round is not None

    def drop(self) -> None:
        """The round that is under way is not finished."""
        self._round = None

    def look(self, keys: set[Key], *, drift: bool) -> None:
        """Starts a round, or leaves the objects to the next one."""
        self._todo |= keys
        self._drift = drift if self._round is None else self._drift and drift
        if self._round is None and not self._stop.is_set():
            self._told.begin()
            self._run()

    def _run(self) -> None:
        while self._todo and not self._stop.is_set():
            keys, self._todo = self._todo, set()
            self._round = self._converge(keys, self._drift)
            if self._advance():
                return
        self._over()

    def _advance(self) -> bool:
        """Runs the round on; True: a portion is done, the rest comes in another turn of the loop."""
        assert self._round is not None
        try:
            for _ in self._round:
                asyncio.get_running_loop().call_soon(self._go_on)
                return True
        except Exception:
            self._told.broken()
        self._round = None
        return False

    def _go_on(self) -> None:
        if self._round is not None and not self._advance():
            self._run()

    def _over(self) -> None:
        self.idle.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._told.over()
        due = self._engine.backoff.next_due()
        if due is not None:
            delay = max(0.0, due - time.monotonic()) + 0.005
            self._timer = asyncio.get_running_loop().call_later(delay, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self.look(self._engine.due_again(), drift=True)
        if self._round is None and self._timer is None:
            self._over()
