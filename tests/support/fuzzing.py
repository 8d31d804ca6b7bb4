"""How messages are spoilt, and how often: ``NETD_FUZZ`` times as often as in the ordinary run (``make fuzz``)."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from . import tally

FACTOR = int(os.environ.get("NETD_FUZZ", "1"))


def tried(examples: int) -> Callable[[Any], Any]:
    """For ``@tried(300)``; no deadline, because machines are slow. Each execution is counted."""

    def decorate(test: Any) -> Any:
        inner = test.hypothesis.inner_test

        @functools.wraps(inner)
        def counted(*args: Any, **kwargs: Any) -> Any:
            tally.count("generated examples")
            return inner(*args, **kwargs)

        test.hypothesis.inner_test = counted
        limits = settings(max_examples=examples * FACTOR, deadline=None, suppress_health_check=list(HealthCheck))
        return limits(test)

    return decorate


def spoilt(draw: st.DrawFn, message: bytes) -> bytes:
    """A message with some bytes changed, cut, doubled or put in."""
    data = bytearray(message)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0 if data:
                data[place] = draw(st.integers(0, 255))
            case 1:
                del data[place:]
            case 2:
                data[place:place] = draw(st.binary(max_size=8))
            case _:
                data += data[place : place + 40]
    return bytes(data)
