"""Checks side by side: each is tried again until it is as expected, or its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from netd.config.checks.table import Check
from netd.config.checks.values import seconds, split
from netd.errors import KernelError
from netd.kernel.kernel import Kernel

from . import icmp, transport, web
from .command import command
from .names import Names
from .sockets import Failed, Sockets

#: Attempts at the same time: each has a socket, and some a process or a thread.
MOST = 200
#: Seconds for one attempt, and between two.
LIMITS = {"ping": 3.0, "tcp": 2.0, "udp": 2.0, "http": 5.0, "dns": 2.0}
PAUSE, UDP_PAUSE = 0.1, 1.0
#: The least seconds that an attempt gets.
LEAST = 0.1


@dataclass(frozen=True, slots=True)
class Result:
    """One check: whether it holds; what its last attempt said; how long all attempts took, in seconds, and how many."""

    check: Check
    holds: bool
    said: str
    seconds: float
    attempts: int


class Prober:
    """``declared``: the addresses of the namespaces in the files, by which they can be called."""

    def __init__(self, kernel: Kernel, declared: Mapping[str, Sequence[str]]) -> None:
        self._sockets = Sockets(kernel)
        self._names = Names(self._sockets, declared)

    async def run(self, checks: Sequence[Check]) -> AsyncIterator[Result]:
        """The results, in the order in which they come."""
        free = asyncio.Semaphore(MOST)

        async def one(check: Check) -> Result:
            async with free:
                return await self._until_expected(check)

        tasks = [asyncio.ensure_future(one(check)) for check in checks]
        try:
            for each in asyncio.as_completed(tasks):
                yield await each
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_expected(self, check: Check) -> Result:
        loop, within = asyncio.get_running_loop(), seconds(check.table.within)
        start, attempts = loop.time(), 0
        while True:
            attempts += 1
            # The first attempt of a check without time has as long as any.
            left = start + within - loop.time() if within else LIMITS.get(check.table.type, within or 5.0)
            try:
                passed, said = True, await self._attempt(check, max(LEAST, left))
            except (Failed, KernelError) as error:
                passed, said = False, str(error)
            holds = passed == (check.table.expect == "ok")
            now, pause = loop.time(), UDP_PAUSE if check.table.udp is not None else PAUSE
            if holds or now + pause >= start + within:
                return Result(check, holds, said, now - start, attempts)
            await asyncio.sleep(pause)

    async def _attempt(self, check: Check, left: float) -> str:
        table, netns = check.table, check.netns
        limit = min(left, LIMITS.get(table.type, left))
        if table.command is not None:
            return await command(netns, table.command, limit)
        if table.dns is not None:
            return await self._names.check(netns, table, limit)
        host, port = target_of(check)
        address = await self._names.address(netns, host, limit)
        if table.ping is not None:
            return await icmp.ping(self._sockets, netns, address, table, limit)
        if table.http is not None:
            return await web.request(self._sockets, netns, address, table, limit)
        way = transport.tcp if table.tcp is not None else transport.udp
        return await way(self._sockets, netns, address, port, limit)


def target_of(check: Check) -> tuple[str, int]:
    """The host that a check is about, and the port (0: none); ("", 0) where it is about none."""
    table = check.table
    if table.tcp is not None or table.udp is not None:
        return split(table.tcp or table.udp or "")
    if table.http is not None:
        parts = urlsplit(table.http)
        return parts.hostname or "", parts.port or web.PORTS[parts.scheme]
    return table.ping or "", 0
