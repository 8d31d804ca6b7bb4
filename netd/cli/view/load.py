"""What ``netd top`` shows: states and repairs from the stream of changes, rates from two readings of counters."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from netd.report.text import rfc3339

#: Seconds over which repairs are counted.
WINDOW = 10.0
#: The last events that are shown.
EVENTS = 100


class Rate(NamedTuple):
    """One link: bits per second in both directions, packets, drops and errors per second."""

    link: str
    rx_bits: float
    tx_bits: float
    packets: float
    drops: float


class Load:
    """Filled by two threads: each method does one thing at once."""

    def __init__(self) -> None:
        self.whole = "no daemon"
        self.states: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.events: deque[Mapping[str, Any]] = deque(maxlen=EVENTS)
        self.rates: list[Rate] = []
        self._repairs: deque[float] = deque()
        self._before: Mapping[str, Any] | None = None

    def event(self, event: Mapping[str, Any]) -> None:
        """A line of the daemon."""
        name = event["object"]
        if event["type"] in ("state", "object") and name:
            self.states[name] = event["state"]
            self.reasons[name] = event["reason"] or ""
        elif event["type"] == "state":
            self.whole = event["state"]
        elif event["type"] == "change":
            if event["action"] == "delete" and not event["drift"]:
                self.states.pop(name, None)
            if event["drift"]:
                self._repairs.append(time.monotonic())
            self.events.append(event)

    def away(self) -> None:
        """The daemon does not answer: nothing is known."""
        self.whole = "no daemon"
        self.states = {}

    def take(self, reading: Mapping[str, Any]) -> None:
        """Counters as they are now."""
        before, self._before = self._before, reading
        if before is None or reading["time"] <= before["time"]:
            return
        passed = reading["time"] - before["time"]
        self.rates = [
            rate(link, before["links"][link], now, passed)
            for link, now in reading["links"].items()
            if link in before["links"]
        ]

    def counts(self) -> dict[str, int]:
        """The number of objects in each state."""
        return dict(Counter(self.states.copy().values()))

    def repairs(self) -> float:
        """Repairs per second."""
        limit = time.monotonic() - WINDOW
        while self._repairs and self._repairs[0] < limit:
            self._repairs.popleft()
        return len(self._repairs) / WINDOW

    def json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "version": 1, "time": rfc3339(self._before["time"]) if self._before else None, "state": self.whole,
            "objects": self.counts(), "repairs_per_second": self.repairs(),
            "links": [each._asdict() for each in self.rates],
        }  # fmt: skip


def rate(link: str, before: Mapping[str, int], now: Mapping[str, int], passed: float) -> Rate:
    """What happened between two readings; a counter that went back is of a new link."""

    def per_second(*names: str) -> float:
        return max(0.0, sum(now[name] - before[name] for name in names) / passed)

    return Rate(
        link,
        8 * per_second("rx_bytes"),
        8 * per_second("tx_bytes"),
        per_second("rx_packets", "tx_packets"),
        per_second("rx_dropped", "tx_dropped", "rx_errors", "tx_errors"),
    )
