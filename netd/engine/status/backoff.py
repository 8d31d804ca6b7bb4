"""When an object may be touched again: retries after failures, and how often it is repaired in a fight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netd.model.key import Key

from .objects import BUDGET, ObjectBackoff, ObjectState, ObjectStates

#: Seconds: before the unreported retry of a repair, the first reported one, the longest time between retries.
RETRY_QUIET, RETRY_FIRST, RETRY_LONGEST = 0.01, 0.1, 60.0
#: What a repair costs of the budget that is not likely to last.
HOPELESS = BUDGET / 2
#: Seconds after which one more repair in a row is granted.
REFILL = 6.0
#: Seconds between repairs of a contended object: first, longest.
CONTENDED_FIRST, CONTENDED_LONGEST = 1.0, 300.0


class Backoff:
    """The backoff of objects; times are of a monotonic clock."""

    def __init__(self, states: ObjectStates) -> None:
        self._states = states
        #: Those that have to wait (``not_before``).
        self._waiting: set[Key] = set()

    def _find(self, key: Key) -> ObjectBackoff | None:
        state = self._states.get(key)
        return state.backoff if state is not None else None

    def _begin(self, key: Key, now: float) -> ObjectBackoff:
        state = self._states.setdefault(key, ObjectState())
        if state.backoff is None:
            state.backoff = ObjectBackoff(counted=now)
        return state.backoff

    def _wait(self, key: Key, backoff: ObjectBackoff, until: float) -> None:
        """Not before then; 0: at any time."""
        backoff.not_before = until
        if until:
            self._waiting.add(key)
        else:
            self._waiting.discard(key)

    def reset(self, key: Key) -> None:
        """What is declared of the object changed: start afresh."""
        state = self._states.get(key)
        if state is not None:
            state.backoff = None
        self._waiting.discard(key)

    def due(self, keys: Iterable[Key], now: float) -> set[Key]:
        """Those of these objects that may be touched now."""
        return {key for key in keys if (backoff := self._find(key)) is None or now >= backoff.not_before}

    def suppress_first_failure(self, key: Key, now: float) -> bool:
        """A repair was refused. True: for the first time, which says little (what it depends on may be going)."""
        backoff = self._begin(key, now)
        if backoff.failures or backoff.first_failure_suppressed:
            return False
        backoff.first_failure_suppressed = True
        self._wait(key, backoff, now + RETRY_QUIET)
        return True

    def failed(self, key: Key, now: float) -> None:
        """An operation on it was refused."""
        backoff = self._begin(key, now)
        self._wait(key, backoff, now + min(RETRY_FIRST * 2**backoff.failures, RETRY_LONGEST))
        backoff.failures = min(backoff.failures + 1, 20)

    def relevant_events(self, keys: Iterable[Key], now: float) -> None:
        """Something that concerns these objects happened: failed ones are tried soon, not in a minute."""
        for key in keys:
            state = self._states.get(key)
            if state is None:
                continue
            if state.backoff is not None and state.backoff.failures:
                state.backoff.failures = 0
                self._wait(key, state.backoff, min(state.backoff.not_before, now + RETRY_FIRST))
            if state.row is not None and state.row.diverged is not None:
                self.postpone(key, now)

    def succeeded(self, key: Key) -> None:
        """The last operation on it was accepted."""
        backoff = self._find(key)
        if backoff is not None:
            backoff.first_failure_suppressed = False
            if backoff.failures:
                backoff.failures = 0
                self._wait(key, backoff, 0.0)

    def repaired(self, key: Key, now: float, *, hopeless: bool = False) -> bool:
        """Counts a repair; True: its budget is used up, it is contended.

        ``hopeless``: one more may help, but not ten.
        """
        backoff = self._begin(key, now)
        backoff.budget = min(BUDGET, backoff.budget + (now - backoff.counted) / REFILL)
        backoff.counted = now
        backoff.budget = max(0.0, backoff.budget - (HOPELESS if hopeless else 1))
        if backoff.budget >= 1 and not backoff.pause:
            return False
        backoff.pause = min(max(CONTENDED_FIRST, backoff.pause * 2), CONTENDED_LONGEST)
        self._wait(key, backoff, now + backoff.pause)
        return True

    def postpone(self, key: Key, now: float) -> None:
        """Not now: writing it again would change nothing, or another program would change it back."""
        backoff = self._begin(key, now)
        if backoff.not_before <= now:
            backoff.pause = min(max(CONTENDED_FIRST, backoff.pause * 2), CONTENDED_LONGEST)
            self._wait(key, backoff, now + backoff.pause)

    def contended(self, key: Key, now: float) -> bool:
        """Whether it still has no budget for a repair; if so it is evaluated again when it has."""
        backoff = self._find(key)
        if backoff is None or not backoff.pause:
            return False
        lacking = (1 - backoff.budget) * REFILL - (now - backoff.counted)
        if lacking <= 0:
            backoff.pause = 0.0
            return False
        if backoff.not_before <= now:
            self._wait(key, backoff, now + lacking)
        return True

    def next_due(self) -> float | None:
        """The next moment at which something that had to wait may be tried."""
        return min((backoff.not_before for _, backoff in self._delayed()), default=None)

    def take_due(self, now: float) -> set[Key]:
        """Objects whose wait is over."""
        ready = [(key, backoff) for key, backoff in self._delayed() if now >= backoff.not_before]
        for key, backoff in ready:
            self._wait(key, backoff, 0.0)
        return {key for key, _ in ready}

    def _delayed(self) -> Iterator[tuple[Key, ObjectBackoff]]:
        for key in self._waiting:
            backoff = self._find(key)
            if backoff is not None:
                yield key, backoff
