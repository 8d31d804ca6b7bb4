"""Those who asked to be told when the network stands: looked at after a round, and only while there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from netd.engine.status.table import StatusTable
from netd.model.key import Key, parse_key
from netd.model.status import State
from netd.report.text import state_line

#: Seconds that may be waited at most, beside for ever.
LONGEST = 1e9


class Waiters:
    """``not_ready`` says what is missing still: of these objects, or of all where none is named."""

    def __init__(self, not_ready: Callable[[Sequence[Key]], list[str]]) -> None:
        self._unmet = not_ready
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
        names, timeout = request.get("objects", []), request.get("timeout")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return {"error": "not understood: 'objects' is a list of names"}
        # Not a number (NaN) is in no range.
        if timeout is not None and not (isinstance(timeout, int | float) and 0 <= timeout <= LONGEST):
            return {"error": "not understood: 'timeout' is a number of seconds, or null"}
        try:
            keys = [parse_key(name) for name in names]
        except ValueError as error:
            return {"error": f"{error}: 'netd status --all' lists the names"}
        try:
            async with asyncio.timeout(timeout):
                while self._unmet(keys):
                    future = asyncio.get_running_loop().create_future()
                    self._futures.append(future)
                    await future
        except TimeoutError:
            pass
        return {"not_ready": self._unmet(keys)}


def not_ready(rows: StatusTable, keys: Sequence[Key]) -> list[str]:
    """Why the network, or these objects, do not stand; [] where they do."""
    if not keys:
        return [state_line(row) for row in rows.not_settled()]
    undeclared = [f"{key}: no file declares it" for key in keys if rows.get(key) is None]
    states = [rows.status(key) for key in keys if rows.get(key) is not None]
    return undeclared + [state_line(row) for row in states if row.state is not State.OK]
