"""One pass after the other, in portions, so that loop and watchdog stay alive; repairs come before everything else.

A build or a removal takes seconds. What breaks meanwhile, and is independent of it, is repaired between two of its
portions, by a pass of its own. What depends on it is evaluated when it is over.

A pass that raises an exception says nothing of its objects. It is tried again over each half of them, until the object
is found that causes it: that one has failed, and the others are as they should be. Until then, and if no single object
causes it, the state of the network is unknown: ``broken`` says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Set
from typing import NamedTuple

from netd.engine.reconciler import Reconciler
from netd.model.key import Key, namespace_key

#: Passes that are under way at once: one in a portion of another.
DEEPEST = 8
#: Passes in a row that fail, before the cause is no longer searched for; seconds until everything is tried again.
MOST_FAILED, RETRY_FIRST, RETRY_LONGEST = 100, 1.0, 60.0


class PassCallbacks(NamedTuple):
    """Called when passes ``begin``, when the last one has ended, when one has failed, and when a resync is needed."""

    begin: Callable[[], None]
    end: Callable[[], None]
    failed: Callable[[Exception], None]
    resync: Callable[[], None]


class _Pass(NamedTuple):
    """One that is under way; ``involved`` grows with what it changes."""

    keys: Set[Key]
    involved: set[Key]
    steps: Iterator[None]


class Passes:
    """``converge(keys, drift, involved)`` begins a pass over some objects. ``stop``: no more of them.

    ``idle`` is set when all is done, and cleared by whoever waits for that.
    """

    def __init__(
        self,
        engine: Reconciler,
        converge: Callable[[Set[Key], bool, set[Key]], Iterator[None]],
        callbacks: PassCallbacks,
        stop: asyncio.Event,
    ) -> None:
        self._engine = engine
        self._converge = converge
        self._callbacks = callbacks
        self._stop = stop
        self._todo: set[Key] = set()
        self._drift = False
        #: Under way: each began in a portion of the one before it.
        self._running: list[_Pass] = []
        self._advancing = False
        self._scheduled = False
        #: Parts of a pass that failed, each to be tried alone.
        self._parts: list[Set[Key]] = []
        self._failures = 0
        self._pause = RETRY_FIRST
        #: Whether something failed that no single object causes.
        self._cause_unknown = False
        self._timer: asyncio.TimerHandle | None = None
        #: Why the state of the network is unknown, "" if it is known.
        self.broken = ""
        self.idle = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether a pass is under way."""
        return bool(self._running or self._parts)

    def drop(self) -> None:
        """The passes that are under way are not finished."""
        self._running.clear()
        self._parts.clear()

    def start(self, keys: set[Key], *, drift: bool) -> None:
        """Starts a pass; objects that depend on one that is under way are left to the next one."""
        if self._stop.is_set():
            return
        if not self._running:
            self._todo |= keys
            self._drift = drift
            self._callbacks.begin()
            self._run()
            return
        independent = set() if self._advancing or len(self._running) >= DEEPEST else self._independent(keys)
        self._todo |= keys - independent
        self._drift = self._drift and drift
        if independent:
            self._begin(independent, drift)

    def _independent(self, keys: Set[Key]) -> set[Key]:
        """Those that no pass under way changes, nor the namespace that they are in."""

        def is_free(key: Key) -> bool:
            both = {key, namespace_key(key.netns)}
            return all(both.isdisjoint(one.involved) for one in self._running)

        return {key for key in keys if is_free(key)}

    def _run(self) -> None:
        while (self._parts or self._todo) and not self._stop.is_set():
            if self._parts:
                keys: Set[Key] = self._parts.pop()
            else:
                keys, self._todo = self._todo, set()
            if self._begin(keys, self._drift):
                return
        self._end()

    def _begin(self, keys: Set[Key], drift: bool) -> bool:
        """Begins a pass; returns whether there is more of it."""
        involved: set[Key] = set()
        self._running.append(_Pass(keys, involved, self._converge(keys, drift, involved)))
        return self._advance()

    def _advance(self) -> bool:
        """Runs the innermost pass on; True: a portion is done, the rest comes in another turn of the loop."""
        current = self._running[-1]
        self._advancing = True
        try:
            for _ in current.steps:
                self._schedule()
                return True
            self._succeeded(current)
        except Exception as error:
            self._failed(current, error)
        finally:
            self._advancing = False
        if current in self._running:
            self._running.remove(current)
        return False

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._scheduled = False
        if self._running and not self._advance():
            if self._running:
                self._schedule()
            else:
                self._run()

    def _succeeded(self, current: _Pass) -> None:
        if not self._parts and (not self._cause_unknown or current.keys >= self._engine.graph.desired.keys()):
            self._recover()

    def _recover(self) -> None:
        self._failures, self._pause, self.broken, self._cause_unknown = 0, RETRY_FIRST, "", False

    def _failed(self, current: _Pass, error: Exception) -> None:
        """Tries its halves, or marks the one object as failed; all that was read before is invalidated."""
        self._callbacks.failed(error)
        self._failures += 1
        self.broken = reason_of(error)
        keys = sorted(current.keys)
        self._engine.invalidate_all()
        if len(keys) > 1 and self._failures < MOST_FAILED:
            middle = len(keys) // 2
            self._parts += [frozenset(keys[:middle]), frozenset(keys[middle:])]
        elif len(keys) == 1:
            self._engine.fail(keys[0], error)
            if not self._parts and not self._cause_unknown:
                # The others have been evaluated: the status of this one has the reason.
                self._recover()
        else:
            self._parts.clear()
            self._schedule_resync()

    def fail_outside(self, error: Exception) -> None:
        """A callback failed, so something may have been missed: a resync follows, a little later."""
        self._callbacks.failed(error)
        self.broken = reason_of(error)
        self._engine.invalidate_all()
        self._schedule_resync()

    def _schedule_resync(self) -> None:
        self._cause_unknown, self._failures = True, 0
        asyncio.get_running_loop().call_later(self._pause, self._callbacks.resync)
        self._pause = min(self._pause * 2, RETRY_LONGEST)

    def _end(self) -> None:
        if self.broken and not self._engine.graph.desired:
            self._recover()
        self.idle.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._callbacks.end()
        due = self._engine.backoff.next_due()
        if due is not None:
            delay = max(0.0, due - time.monotonic()) + 0.005
            self._timer = asyncio.get_running_loop().call_later(delay, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self.start(self._engine.due_again(), drift=True)
        if not self._running and self._timer is None:
            self._end()


def reason_of(error: Exception) -> str:
    """For the status."""
    return f"a pass failed, a resync follows: {type(error).__name__}: {error}"
