"""What was tried inside of tests, counted over all workers: told at the end of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

#: Of the test that runs now.
_tried: Counter[str] = Counter()


def count(what: str) -> None:
    """One more of these was tried."""
    _tried[what] += 1


def taken() -> list[tuple[str, object]]:
    """What was counted since the last time, as properties of a test's report."""
    found = list(_tried.items())
    _tried.clear()
    return [(f"tried: {what}", number) for what, number in found]


def told(properties: Iterable[tuple[str, object]]) -> str:
    """ "341 kill points, 1917 refused operations", "" where nothing was counted."""
    total: Counter[str] = Counter()
    for name, number in properties:
        if name.startswith("tried: ") and isinstance(number, int):
            total[name.removeprefix("tried: ")] += number
    return ", ".join(f"{number} {what}" for what, number in sorted(total.items()))
