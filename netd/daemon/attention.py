"""How often the events of a namespace are handled: their cost is bounded, and does not delay other namespaces.

Who controls a namespace (a container, a user with one of their own) can change things in it a thousand times a second
that netd has to read, and finds as declared. After each batch, further events of the same type in the same namespace
are left for a multiple of the time that it took. What happens meanwhile is handled together, later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from netd.model.invalidation import EVERYTHING, Invalidation

#: The pause after a batch without a repair, and after one with a repair, as multiples of its duration.
IDLE, BUSY = 9.0, 1.0
#: Seconds: shorter batches have no pause, without and with a repair; the longest pause.
FREE_IDLE, FREE_BUSY, LONGEST = 0.0005, 0.005, 2.0

#: What has an account of its own: one type of event in one namespace.
Source = tuple[str, str]


@dataclass(slots=True)
class _Account:
    """``until``: no event is handled before; ``waiting``: those that came meanwhile."""

    until: float = 0.0
    waiting: dict[Invalidation, None] = field(default_factory=dict)


def source(event: Invalidation) -> Source:
    """The account that an event is charged to."""
    return event.netns, event.what


class Attention:
    """All accounts; times are of a monotonic clock."""

    def __init__(self) -> None:
        self._accounts: dict[Source, _Account] = {}

    def sift(self, events: Iterable[Invalidation], now: float) -> list[Invalidation]:
        """What is to be handled now: of these events, and of those that have waited long enough."""
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
        """Handling these events took so long; ``idle``: without a repair."""
        if seconds < (FREE_IDLE if idle else FREE_BUSY):
            return
        sources = {source(event) for event in events if event != EVERYTHING}
        for of in sources:
            pause = min(seconds / len(sources) * (IDLE if idle else BUSY), LONGEST)
            self._accounts.setdefault(of, _Account()).until = now + pause

    def next_due(self) -> float | None:
        """When the first of the waiting events may be handled."""
        return min((account.until for account in self._accounts.values() if account.waiting), default=None)
