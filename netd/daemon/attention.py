"""How often a namespace is listened to: what it costs is bounded, and no one else waits for it.

Whoever may do as he likes in a namespace (a container, a user with one of his own) can change things in it a thousand
times a second that netd has to read, and finds as they should be. After each such look the same events of the same
namespace are left alone for a multiple of the time that it took. What happens meanwhile is looked at once, later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from netd.model.invalidation import EVERYTHING, Invalidation

#: The pause after a look that led to nothing, and after one that led to a repair, in lengths of that look.
IDLE, BUSY = 9.0, 1.0
#: Seconds: looks that are shorter have no pause, those to nothing and those to a repair; the longest pause.
FREE_IDLE, FREE_BUSY, LONGEST = 0.0005, 0.005, 2.0

#: What is listened to apart: one sort of thing in one namespace.
Source = tuple[str, str]


@dataclass(slots=True)
class _Account:
    """``until``: nothing of it is looked at before; ``waiting``: what came meanwhile."""

    until: float = 0.0
    waiting: dict[Invalidation, None] = field(default_factory=dict)


def source(event: Invalidation) -> Source:
    """Whose account an event is charged to."""
    return event.netns, event.what


class Attention:
    """All accounts; times are of a monotonic clock."""

    def __init__(self) -> None:
        self._accounts: dict[Source, _Account] = {}

    def sift(self, events: Iterable[Invalidation], now: float) -> list[Invalidation]:
        """What is to be looked at now: of these events, and of those that have waited long enough."""
        found: dict[Invalidation, None] = {}
        for event in events:
            account = self._accounts.get(source(event))
            if account is None or now >= account.until or event == EVERYTHING:
                found[event] = None
            else:
                account.waiting[event] = None
        for of, account in list(self._accounts.items()):
            if now >= account.until:
                found.update(account.waiting)
                del self._accounts[of]
        return list(found)

    def charge(self, events: Iterable[Invalidation], seconds: float, now: float, *, idle: bool) -> None:
        """A look at these events took so long; ``idle``: nothing came of it."""
        if seconds < (FREE_IDLE if idle else FREE_BUSY):
            return
        sources = {source(event) for event in events if event != EVERYTHING}
        for of in sources:
            pause = min(seconds / len(sources) * (IDLE if idle else BUSY), LONGEST)
            self._accounts.setdefault(of, _Account()).until = now + pause

    def next_due(self) -> float | None:
        """When something that waits may be looked at."""
        return min((account.until for account in self._accounts.values() if account.waiting), default=None)
