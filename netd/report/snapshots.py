"""The answers to ``status``: made in small steps, once for all simultaneous requests, and sent from one buffer.

The answer for fifty thousand objects has ten megabytes. A thousand who ask for it and do not read it cost that once:
each peer has one such answer under way, and who asks meanwhile waits for the next one. It is begun after the question,
so it is never older than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager

#: Seconds between two checks for slow readers that block others.
LOOK = 0.25


class _Snapshot:
    """One answer, and the number of its readers."""

    def __init__(self) -> None:
        self.readers = 0
        self.making: asyncio.Task[bytes] | None = None


class Snapshots:
    """``make`` makes one answer. ``hurry`` is called with a peer of which others wait for one that is still read."""

    def __init__(self, make: Callable[[], Awaitable[bytes]], hurry: Callable[[Hashable], None]) -> None:
        self._make = make
        self._hurry = hurry
        self._coming: dict[Hashable, _Snapshot] = {}
        self._under_way: dict[Hashable, _Snapshot] = {}

    @asynccontextmanager
    async def newest(self, peer: Hashable) -> AsyncIterator[bytes]:
        """An answer that is begun after this call; it is kept until the end of ``with``."""
        found = self._coming.get(peer)
        if found is None:
            found = self._coming[peer] = _Snapshot()
            found.making = asyncio.get_running_loop().create_task(self._make_for(peer, found))
        found.readers += 1
        assert found.making is not None
        try:
            # A reader that closes its connection does not affect the others.
            yield await asyncio.shield(found.making)
        finally:
            found.readers -= 1
            if not found.readers:
                found.making.cancel()
                for waiting in (self._coming, self._under_way):
                    if waiting.get(peer) is found:
                        del waiting[peer]

    async def _make_for(self, peer: Hashable, snapshot: _Snapshot) -> bytes:
        while peer in self._under_way:
            await asyncio.sleep(LOOK)
            self._hurry(peer)
        self._under_way[peer] = snapshot
        # A later request has to get a later state.
        del self._coming[peer]
        return await self._make()
