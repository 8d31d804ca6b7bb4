"""When an object may be touched again: retries after failures, and how often it is repaired in a fight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netd.model.key import Key

#: Seconds: the quiet retry of a repair, the first one that is told of, the longest wait between retries.
RETRY_QUIET, RETRY_FIRST, RETRY_LONGEST = 0.01, 0.1, 60.0
#: Repairs in a row, and the seconds after which one more is granted.
BUDGET, REFILL = 10.0, 6.0
#: Seconds between repairs of a contended object: first, longest.
CONTENDED_FIRST, CONTENDED_LONGEST = 1.0, 300.0


@dataclass(slots=True)
class ObjectBackoff:
    """One object."""

    budget: float = BUDGET
    counted: float = 0.0
    failures: int = 0
    first_failure_suppressed: bool = False
    pause: float = 0.0
    not_before: float = 0.0


class Backoff:
    """All objects that failed or were repaired lately; times are of a monotonic clock."""

    def __init__(self) -> None:
        self._paces: dict[Key, ObjectBackoff] = {}

    def reset(self, key: Key | None = None) -> None:
        """The configuration changed (all), or the object did: start afresh."""
        if key is None:
            self._paces.clear()
        else:
            self._paces.pop(key, None)

    def is_due(self, key: Key, now: float) -> bool:
        """Whether the object may be touched now."""
        pace = self._paces.get(key)
        return pace is None or now >= pace.not_before

    def any_waiting(self, keys: Iterable[Key], now: float) -> bool:
        """Whether one of these objects may not be touched now."""
        return not all(self.is_due(key, now) for key in keys)

    def suppress_first_failure(self, key: Key, now: float) -> bool:
        """A repair was refused. The first time says little (what it hangs on may be going): True, soon again."""
        pace = self._paces.setdefault(key, ObjectBackoff(counted=now))
        if pace.failures or pace.first_failure_suppressed:
            return False
        pace.first_failure_suppressed = True
        pace.not_before = now + RETRY_QUIET
        return True

    def failed(self, key: Key, now: float) -> None:
        """An operation on it was refused."""
        pace = self._paces.setdefault(key, ObjectBackoff(counted=now))
        pace.not_before = now + min(RETRY_FIRST * 2**pace.failures, RETRY_LONGEST)
        pace.failures = min(pace.failures + 1, 20)

    def relevant_event(self, key: Key, now: float) -> None:
        """Something that concerns a failed object happened: try soon, not in a minute."""
        pace = self._paces.get(key)
        if pace is not None and pace.failures:
            pace.failures = 0
            pace.not_before = min(pace.not_before, now + RETRY_FIRST)

    def succeeded(self, key: Key) -> None:
        """The last operation on it was accepted."""
        pace = self._paces.get(key)
        if pace is not None:
            pace.first_failure_suppressed = False
            if pace.failures:
                pace.failures, pace.not_before = 0, 0.0

    def repaired(self, key: Key, now: float) -> bool:
        """Counts a repair; True: its budget is used up, it is contended."""
        pace = self._paces.setdefault(key, ObjectBackoff(counted=now))
        pace.budget = min(BUDGET, pace.budget + (now - pace.counted) / REFILL)
        pace.counted = now
        pace.budget = max(0.0, pace.budget - 1)
        if pace.budget >= 1 and not pace.pause:
            return False
        pace.pause = min(max(CONTENDED_FIRST, pace.pause * 2), CONTENDED_LONGEST)
        pace.not_before = now + pace.pause
        return True

    def postpone(self, key: Key, now: float) -> None:
        """Not now: writing it again would change nothing, or somebody is quicker."""
        pace = self._paces.setdefault(key, ObjectBackoff(counted=now))
        if pace.not_before <= now:
            pace.pause = min(max(CONTENDED_FIRST, pace.pause * 2), CONTENDED_LONGEST)
            pace.not_before = now + pace.pause

    def contended(self, key: Key, now: float) -> bool:
        """Whether it still has no budget for a repair; if so it is looked at again when it has."""
        pace = self._paces.get(key)
        if pace is None or not pace.pause:
            return False
        lacking = (1 - pace.budget) * REFILL - (now - pace.counted)
        if lacking <= 0:
            pace.pause = 0.0
            return False
        if pace.not_before <= now:
            pace.not_before = now + lacking
        return True

    def next_due(self) -> float | None:
        """The next moment at which something that had to wait may be tried."""
        times = [pace.not_before for pace in self._paces.values() if pace.not_before]
        return min(times) if times else None

    def take_due(self, now: float) -> set[Key]:
        """Objects whose wait is over."""
        ready = {key for key, pace in self._paces.items() if pace.not_before and now >= pace.not_before}
        for key in ready:
            self._paces[key].not_before = 0.0
        return ready
