"""Work for requests, in steps; repairs come first between two steps.

Each ``await turns.take()`` ends a step. The loop carries out one step at a time and looks at the kernel's events
between two; and whatever a step took, the same time is kept free after it. So a thousand requests at once make answers
slower, not repairs.
"""

from __future__ import annotations

import asyncio
from collections import deque

#: The most seconds that a step should take: loops check the clock, and take another turn then.
STEP = 0.002
#: Seconds that are kept free after a step, at most.
LONGEST_PAUSE = 0.05


class Turns:
    """First come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pumping = False

    async def take(self) -> None:
        """Returns when it is the caller's turn, for one step."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        if not self._pumping:
            self._pumping = True
            loop.call_soon(self._next)
        await future

    def _next(self) -> None:
        """Wakes one caller. Its step runs before ``_over``, which is queued after it."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if not self._waiting:
            self._pumping = False
            return
        loop = asyncio.get_running_loop()
        self._waiting.popleft().set_result(None)
        loop.call_soon(self._over, loop.time())

    def _over(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(min(loop.time() - began, LONGEST_PAUSE), self._next)
