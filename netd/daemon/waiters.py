"""Clients that wait until the network is up: checked after a pass, and only while there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from netd.engine.status.table import StatusTable
from netd.model.key import Key, parse_key
from netd.model.status import State
from netd.report.text import state_line
from netd.report.turns import STEP, Turns

#: The longest timeout, in seconds; none is longer.
LONGEST = 1e9
#: Names that are parsed in one step.
PORTION = 200


class Waiter:
    """Waits for these objects, or (none) for the whole. ``place``: all before it were ok at the last check.

    ``strict``: for the files, and for everything that is pending, too.
    """

    def __init__(self, keys: Sequence[Key], strict: bool) -> None:
        self.keys = keys
        self.strict = strict
        self.place = 0
        #: The version of the state at which the first of them was checked.
        self.version = -1
        self.met = asyncio.get_running_loop().create_future()


class Waiters:
    """``is_ok`` tells whether an object, or (None) the whole, is ok; ``not_ready`` what is missing, as text.

    ``is_complete`` tells whether nothing is missing that only a strict waiter waits for.

    They cost a pass nothing: it only wakes a task, which checks them in turns (``Turns``), each where it stopped.
    """

    def __init__(
        self,
        is_ok: Callable[[Key | None], bool],
        is_complete: Callable[[], bool],
        not_ready: Callable[[Sequence[Key], bool], list[str]],
        turns: Turns,
    ) -> None:
        self._is_ok = is_ok
        self._is_complete = is_complete
        self._not_ready = not_ready
        self._turns = turns
        self._waiters: dict[Waiter, None] = {}
        self._version = 0
        self._task: asyncio.Task[None] | None = None
        self._until = 0.0

    def check(self) -> None:
        """Something may have changed."""
        self._version += 1
        if self._waiters and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._check_all())

    async def _check_all(self) -> None:
        try:
            seen = -1
            while seen != self._version and self._waiters:
                seen = self._version
                await self._turn()
                whole = self._is_ok(None)
                for waiter in tuple(self._waiters):
                    met = await self._is_met(waiter) if waiter.keys else whole
                    if met and waiter.strict:
                        met = self._is_ok(None) and self._is_complete()
                    if met and not waiter.met.done():
                        waiter.met.set_result(None)
        finally:
            self._task = None

    async def _is_met(self, waiter: Waiter) -> bool:
        """Whether all are ok at once; continues with the first that was not."""
        while True:
            if waiter.place == 0:
                waiter.version = self._version
            while waiter.place < len(waiter.keys) and self._is_ok(waiter.keys[waiter.place]):
                waiter.place += 1
                await self._breathe()
            await self._breathe()
            if waiter.place < len(waiter.keys):
                return False
            if waiter.version == self._version:
                return True
            # The first may no longer be ok.
            waiter.place = 0

    async def _breathe(self) -> None:
        if asyncio.get_running_loop().time() > self._until:
            await self._turn()

    async def _turn(self) -> None:
        await self._turns.take()
        self._until = asyncio.get_running_loop().time() + STEP

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Returns {"not_ready": []} once all is ready, or what is not after ``timeout`` seconds (None: never)."""
        names, timeout, strict = request.get("objects", []), request.get("timeout"), request.get("strict") is True
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return {"error": "not understood: 'objects' is a list of names"}
        # Not a number (NaN) is in no range.
        if timeout is not None and not (isinstance(timeout, int | float) and 0 <= timeout <= LONGEST):
            return {"error": "not understood: 'timeout' is a number of seconds, or null"}
        keys: list[Key] = []
        try:
            for at in range(0, len(names), PORTION):
                await self._turns.take()
                keys += [parse_key(name) for name in names[at : at + PORTION]]
        except ValueError as error:
            return {"error": f"{error}: 'netd status --all' lists the names"}
        waiter = Waiter(keys, strict)
        self._waiters[waiter] = None
        self.check()
        try:
            async with asyncio.timeout(timeout):
                await waiter.met
            return {"not_ready": []}
        except TimeoutError:
            await self._turns.take()
            return {"not_ready": self._not_ready(keys, strict)}
        finally:
            del self._waiters[waiter]


def not_ready(rows: StatusTable, keys: Sequence[Key]) -> list[str]:
    """Why the network, or these objects, are not ready; [] if they are."""
    if not keys:
        return [state_line(row) for row in rows.not_settled()]
    undeclared = [f"{key}: no file declares it" for key in keys if rows.get(key) is None]
    states = [rows.status(key) for key in keys if rows.get(key) is not None]
    return undeclared + [state_line(row) for row in states if row.state is not State.OK]
