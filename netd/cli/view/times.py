"""Durations in readable units."""

from __future__ import annotations

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """ "12 s", "5 min", "3 h 12 min", "4 d 2 h"."""
    left = max(0, int(seconds))
    for number, (size, unit) in enumerate(UNITS):
        if left >= size:
            rest = left % size
            below, small = UNITS[number + 1] if number + 1 < len(UNITS) else (0, "")
            more = f" {rest // below} {small}" if below and size > 60 and rest // below else ""
            return f"{left // size} {unit}{more}"
    return "0 s"


def ago(seconds: float) -> str:
    """ "12 s ago": the largest unit only."""
    left = max(0, int(seconds))
    size, unit = next((each for each in UNITS if left >= each[0]), UNITS[-1])
    return f"{left // size} {unit} ago"


def repairs(number: int, last: float | None, now: float) -> str:
    """ "1 repair, 12 s ago"; "" for none. ``last`` and ``now`` are seconds since the epoch."""
    if not number:
        return ""
    when = f", {ago(now - last)}" if last is not None else ""
    return f"{number} {'repair' if number == 1 else 'repairs'}{when}"
