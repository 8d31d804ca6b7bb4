"""Faults on purpose: what ``netd fault`` asks the daemon to keep, instead of what the files say of one link."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .key import LinkName

#: A link has one fault of each sort at most: a new one takes the place of the former.
Sort = Literal["state", "netem"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What a link suffers from ``began`` to ``until`` (None: until it is cleared), in seconds of the monotonic clock.

    ``form`` "down": it is down. "flap": it is down for ``down`` seconds and up for ``up``, again and again, ``times``
    times (0: without end). "netem": what it sends is impaired by ``netem``, the keys of the table of that name.
    """

    link: LinkName
    form: Literal["down", "flap", "netem"]
    began: float
    until: float | None = None
    netem: Mapping[str, str | int] = field(default_factory=dict)
    down: float = 0.0
    up: float = 0.0
    times: int = 0

    @property
    def sort(self) -> Sort:
        """Which of the faults of its link it is."""
        return "netem" if self.form == "netem" else "state"

    @property
    def end(self) -> float | None:
        """When it is over, None if it does not end by itself."""
        last = self.began + (self.times - 1) * (self.down + self.up) + self.down if self.times else None
        known = [each for each in (self.until, last) if each is not None]
        return min(known, default=None)

    def is_over(self, now: float) -> bool:
        """Whether it has ended by itself."""
        return self.end is not None and now >= self.end

    def is_down(self, now: float) -> bool:
        """Whether its link is to be down now. A clock decides, and not what was done before: a beat survives all."""
        if self.form == "flap":
            return (now - self.began) % (self.down + self.up) < self.down
        return self.form == "down"

    def next_change(self, now: float) -> float | None:
        """When it next becomes another one, or ends; None: never by itself."""
        beat = None
        if self.form == "flap":
            period = self.down + self.up
            begun = self.began + math.floor((now - self.began) / period) * period
            beat = begun + self.down if now < begun + self.down else begun + period
        known = [each for each in (self.end, beat) if each is not None]
        return min(known, default=None)

    def done(self, now: float) -> int:
        """How many times it has been down so far, this time included."""
        return int((now - self.began) // (self.down + self.up)) + 1 if self.form == "flap" else 1

    def words(self) -> str:
        """ "down", "flap 1s down, 4s up, 10 times", "netem delay=50ms loss=5%"."""
        if self.form == "flap":
            times = f", {self.times} times" if self.times else ""
            return f"flap {self.down:g}s down, {self.up:g}s up{times}"
        return " ".join([self.form, *(f"{key}={value}" for key, value in self.netem.items())])

    def text(self, now: float) -> str:
        """The same with what is left of it: "down, 8 s left", "down, until it is cleared"."""
        left = "until it is cleared" if self.end is None else f"{max(0, math.ceil(self.end - now))} s left"
        phase = f", {'down' if self.is_down(now) else 'up'} now" if self.form == "flap" else ""
        return f"{self.words()}{phase}, {left}"
