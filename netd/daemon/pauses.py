"""How long an object stays that its file no longer declares: until the file has not changed for a moment.

Editors write in steps, and rename: so nothing is removed at once. Each file has a pause of its own, with a limit: one
rewritten all the time delays no removal of another file, and its own only until the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass

from netd.model.key import Key

#: Seconds without a further change of its file, and seconds in all, before what it no longer declares is removed.
GRACE, LIMIT = 0.3, 3.0


@dataclass(slots=True)
class _Pause:
    """Of one object: since when, and until when (of a monotonic clock)."""

    since: float
    due: float


class Pauses:
    """``files_of`` names the files that declare an object, or did."""

    def __init__(self, files_of: Callable[[Key], Iterable[str]]) -> None:
        self._files_of = files_of
        self._pauses: dict[Key, _Pause] = {}

    @property
    def keys(self) -> Set[Key]:
        """What stays as it is for now."""
        return self._pauses.keys()

    def begin(self, keys: Iterable[Key], changed_files: Collection[str], now: float) -> None:
        """These are declared otherwise, or no longer, from now on; and these files have changed."""
        for key, pause in self._pauses.items():
            if not set(self._files_of(key)).isdisjoint(changed_files):
                pause.due = min(now + GRACE, pause.since + LIMIT)
        for key in keys:
            self._pauses.setdefault(key, _Pause(now, now + GRACE))

    def end(self, now: float | None = None) -> set[Key]:
        """Those of which the pause is over, or (None) all; they are no longer kept."""
        over = {key for key, pause in self._pauses.items() if now is None or pause.due <= now}
        for key in over:
            del self._pauses[key]
        return over

    def next_due(self) -> float | None:
        """When the first of them is over."""
        return min((pause.due for pause in self._pauses.values()), default=None)
