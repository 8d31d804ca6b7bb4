"""When a pass yields: repairs that are independent of it come in between."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from netd.model.key import Key

#: Seconds of work between two turns, and objects between two checks of the clock.
LENGTH, SLICE = 0.005, 50

Value = TypeVar("Value")


class Portions:
    """Of one pass. ``involved``: what it is about to change, and all that depends on that."""

    def __init__(self, involved: set[Key] | None = None) -> None:
        self.involved: set[Key] = set() if involved is None else involved
        self._until = time.monotonic() + LENGTH

    def end(self) -> Iterator[None]:
        """Yields where a portion is done."""
        if time.monotonic() > self._until:
            yield
            self._until = time.monotonic() + LENGTH

    def slices(self, values: Sequence[Value]) -> Iterator[Sequence[Value]]:
        """A few at a time."""
        for at in range(0, len(values), SLICE):
            yield values[at : at + SLICE]
