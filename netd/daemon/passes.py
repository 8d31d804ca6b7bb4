"""One pass after the other, in portions, so that the loop and the watchdog live; and repairs before everything else.

A build or a removal takes seconds. What breaks meanwhile, and has nothing to do with it, is repaired between two of its
portions, by a pass of its own. What has to do with it is looked at when it is over.

A pass that throws says nothing of the objects it was over. It is tried again over each half of them, until the object
is found that it throws over: that one has failed, and the others are as they should be. Until then, and where no
object is to blame, the network is not what it is called: ``broken`` says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Set
from typing import NamedTuple

from netd.engine.reconciler import Reconciler
from netd.model.key import HOST, Key

#: Passes that are under way at once: one in a portion of another.
DEEPEST = 8
#: Passes in a row that throw, before no object is looked for any more; seconds until everything is tried again.
MOST_THROWN, RETRY_FIRST, RETRY_LONGEST = 100, 1.0, 60.0


class PassCallbacks(NamedTuple):
    """Who is told that passes ``begin``, that all are ``over`` for now, that one threw, and who looks at everything."""

    begin: Callable[[], None]
    over: Callable[[], None]
    thrown: Callable[[Exception], None]
    everything: Callable[[], None]


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
        told: PassCallbacks,
        stop: asyncio.Event,
    ) -> None:
        self._engine = engine
        self._converge = converge
        self._told = told
        self._stop = stop
        self._todo: set[Key] = set()
        self._drift = False
        #: Under way: each began in a portion of the one before it.
        self._running: list[_Pass] = []
        self._advancing = False
        self._scheduled = False
        #: Parts of a pass that threw, each to be tried alone.
        self._parts: list[Set[Key]] = []
        self._thrown = 0
        self._pause = RETRY_FIRST
        #: Whether something threw that no object is to blame for.
        self._without_culprit = False
        self._timer: asyncio.TimerHandle | None = None
        #: Why nothing can be said of the network, "" where it can.
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

    def look(self, keys: set[Key], *, drift: bool) -> None:
        """Starts a pass; what has to do with one that is under way is left to the next one."""
        if self._stop.is_set():
            return
        if not self._running:
            self._todo |= keys
            self._drift = drift
            self._told.begin()
            self._run()
            return
        apart = set() if self._advancing or len(self._running) >= DEEPEST else self._apart(keys)
        self._todo |= keys - apart
        self._drift = self._drift and drift
        if apart:
            self._start(apart, drift)

    def _apart(self, keys: Set[Key]) -> set[Key]:
        """Those that no pass under way changes, nor what they are in."""

        def is_free(key: Key) -> bool:
            places = {key, Key(HOST, "namespace", key.netns)}
            return all(places.isdisjoint(one.involved) for one in self._running)

        return {key for key in keys if is_free(key)}

    def _run(self) -> None:
        while (self._parts or self._todo) and not self._stop.is_set():
            if self._parts:
                keys: Set[Key] = self._parts.pop()
            else:
                keys, self._todo = self._todo, set()
            if self._start(keys, self._drift):
                return
        self._over()

    def _start(self, keys: Set[Key], drift: bool) -> bool:
        """Begins a pass; whether there is more of it."""
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
        if not self._parts and (not self._without_culprit or current.keys >= self._engine.graph.desired.keys()):
            self._sound()

    def _sound(self) -> None:
        self._thrown, self._pause, self.broken, self._without_culprit = 0, RETRY_FIRST, "", False

    def _failed(self, current: _Pass, error: Exception) -> None:
        """Tries its halves, or holds the one object to account; nothing that was read before counts any more."""
        self._told.thrown(error)
        self._thrown += 1
        self.broken = told(error)
        keys = sorted(current.keys)
        self._engine.invalidate_all()
        if len(keys) > 1 and self._thrown < MOST_THROWN:
            middle = len(keys) // 2
            self._parts += [frozenset(keys[:middle]), frozenset(keys[middle:])]
        elif len(keys) == 1:
            self._engine.fail(keys[0], error)
            if not self._parts and not self._without_culprit:
                # The others have been gone through: what is wrong stands at its object.
                self._sound()
        else:
            self._parts.clear()
            self._look_at_everything()

    def threw(self, error: Exception) -> None:
        """What wakes the daemon threw: nobody knows what it had to say, so everything is looked at, a bit later."""
        self._told.thrown(error)
        self.broken = told(error)
        self._engine.invalidate_all()
        self._look_at_everything()

    def _look_at_everything(self) -> None:
        self._without_culprit, self._thrown = True, 0
        asyncio.get_running_loop().call_later(self._pause, self._told.everything)
        self._pause = min(self._pause * 2, RETRY_LONGEST)

    def _over(self) -> None:
        if self.broken and not self._engine.graph.desired:
            self._sound()
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
        if not self._running and self._timer is None:
            self._over()


def told(error: Exception) -> str:
    """What is said of it in a status."""
    return f"a pass failed, and everything is looked at again: {type(error).__name__}: {error}"
