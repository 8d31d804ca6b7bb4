"""The daemon, asked without blocking: answers, and one stream of changes that all pages share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from netd.report.status import SOCKET

#: Bytes of one answer: a graph of thousands of links. Seconds for an answer, and between two attempts.
LONGEST, PATIENCE, AGAIN = 256 << 20, 20.0, 1.0
#: Events that wait for one page, at most; a slower page is told to read everything again.
QUEUE = 1000
#: Seconds for which one graph serves all pages.
FRESH = 0.5


class Away(Exception):
    """The daemon does not run, or does not answer."""


class DaemonLink:
    """``events`` is for each page; ``graph`` is read once for all of them."""

    def __init__(self, state_dir: str) -> None:
        self._path = os.path.join(state_dir, SOCKET)
        self._pages: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._graph: tuple[float, bytes] | None = None
        self._reading = asyncio.Lock()
        self.away = True

    async def ask(self, request: dict[str, Any]) -> bytes:
        """One answer, as the daemon has sent it; Away."""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=LONGEST)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    return await reader.readline()
                finally:
                    writer.close()
        except (OSError, ValueError) as error:
            raise Away(str(error)) from None

    async def graph(self) -> bytes:
        """The topology."""
        async with self._reading:
            if self._graph is None or time.monotonic() - self._graph[0] > FRESH:
                answer = await self.ask({"verb": "graph"})
                self._graph = (time.monotonic(), answer)
            return self._graph[1]

    async def follow(self) -> None:
        """Hears the daemon for as long as this process lives, and tells the pages."""
        while True:
            with contextlib.suppress(OSError, ValueError, Away):
                await self._hear()
            if not self.away:
                self.away = True
                self._tell({"type": "away"})
            await asyncio.sleep(AGAIN)

    async def _hear(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=LONGEST)
        try:
            writer.write(b'{"verb": "watch", "state": false}\n')
            await writer.drain()
            self.away = False
            self._graph = None
            self._tell({"type": "back"})
            while line := await reader.readline():
                event = json.loads(line)
                if set(event) == {"error"}:
                    raise Away(event["error"])
                self._tell(event)
        finally:
            writer.close()

    def _tell(self, event: dict[str, Any]) -> None:
        for queue in self._pages:
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait({"type": "again"})

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What happens from now on, for one page."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(QUEUE)
        self._pages.add(queue)
        try:
            yield {"type": "away" if self.away else "back"}
            while True:
                event = await queue.get()
                if event is None:
                    return
                yield event
        finally:
            self._pages.discard(queue)

    def close(self) -> None:
        """Ends all streams."""
        for queue in self._pages:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)
