"""Those who asked to be told when the network stands: looked at after a round, and only while there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from netd.model.key import Key, parse_key


class Waiting:
    """``unmet`` says what is missing still: of these objects, or of all where none is named."""

    def __init__(self, unmet: Callable[[Sequence[Key]], list[str]]) -> None:
        self._unmet = unmet
        self._futures: list[asyncio.Future[None]] = []

    def look(self) -> None:
        """Something may have changed."""
        if self._futures:
            futures, self._futures = self._futures, []
            for future in futures:
                if not future.done():
                    future.set_result(None)

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Returns {"unmet": []} once all stands, or with what does not after ``timeout`` seconds (None: never)."""
        try:
            keys = [parse_key(str(name)) for name in request.get("objects", ())]
        except ValueError as error:
            return {"error": f"{error}: 'netd status --all' lists the names"}
        timeout = request.get("timeout")
        try:
            async with asyncio.timeout(float(timeout) if timeout is not None else None):
                while self._unmet(keys):
                    future = asyncio.get_running_loop().create_future()
                    self._futures.append(future)
                    await future
        except TimeoutError:
            pass
        return {"unmet": self._unmet(keys)}
