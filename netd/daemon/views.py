"""What the daemon answers to ``graph``, ``show`` and ``top`` of those who cannot read the kernel: from its mirror.

It is done in turns (``report.turns``), so that it delays no repair; passes may come between two.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any

from netd.engine.reconciler import Reconciler
from netd.errors import UsageError
from netd.model.key import HOST, Key, parse_key
from netd.report.turns import STEP, Turns
from netd.topology.declaration import Declaration
from netd.topology.graph import GraphBuilder
from netd.topology.link_reader import KernelLinkReader
from netd.topology.rates import link_counters
from netd.topology.show import Details
from netd.topology.topology import Topology

from .feed import Feed

#: The verbs that it answers.
VIEWS = frozenset({"graph", "show", "history", "rates"})
#: Objects that are indexed in one turn; the names of a request, and the changes of an answer, at most.
PORTION, MOST = 200, 1000
#: Seconds for which counters are not read again.
FRESH = 0.9


class Views:
    """``feed`` has the last changes."""

    def __init__(self, engine: Reconciler, feed: Feed, turns: Turns) -> None:
        self._engine = engine
        self._feed = feed
        self._turns = turns
        self._reader = KernelLinkReader(engine.mirror)
        self._counters: tuple[float, dict[str, Any]] | None = None
        self._reading = asyncio.Lock()

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The verbs "graph", "show", "history" and "rates"."""
        verb = request.get("verb")
        if verb == "graph":
            return await self._graph()
        if verb == "show":
            return await self._show(str(request.get("name", "")))
        if verb == "history":
            return await self._history(request)
        return await self._rates()

    async def _graph(self) -> dict[str, Any]:
        builder = GraphBuilder(self._topology(), await self._declaration())
        steps = builder.steps()
        going = True
        while going:
            await self._turns.take()
            end = time.monotonic() + STEP
            with self._engine.mirror.reading():
                going = any(time.monotonic() > end for _ in steps)
        return builder.document

    async def _show(self, name: str) -> dict[str, Any]:
        declaration = await self._declaration()
        await self._turns.take()
        with self._engine.mirror.reading():
            known = Details(self._topology(), declaration, self._reader, self._feed.changes_of)
            document = known.of(name)
            return {"document": document, "names": [] if document is not None else known.names()}

    async def _history(self, request: Mapping[str, Any]) -> dict[str, Any]:
        names, most = request.get("objects"), request.get("most", 10)
        if not isinstance(names, list) or not isinstance(most, int) or len(names) > MOST:
            return {"error": "not understood: 'objects' is a list of names, 'most' a number"}
        try:
            keys = [parse_key(str(name)) for name in names]
        except ValueError as error:
            raise UsageError(str(error)) from None
        await self._turns.take()
        return {"version": 1, "changes": self._feed.changes_of(keys, min(most, MOST))}

    async def _rates(self) -> dict[str, Any]:
        """Counters of all links; one reading serves all that ask within a second."""
        async with self._reading:
            if self._counters is None or time.monotonic() - self._counters[0] > FRESH:
                found: dict[str, Any] = {}
                when, left = time.time(), self._namespaces()[::-1]
                while left:
                    await self._turns.take()
                    end = time.monotonic() + STEP
                    with self._engine.mirror.reading():
                        while left and time.monotonic() < end:
                            found |= link_counters(self._engine.mirror, self._reader, left.pop())
                self._counters = time.monotonic(), {"version": 1, "time": when, "links": found}
            return self._counters[1]

    # what is known ---------------------------------------------------------------------------------------------

    def _namespaces(self) -> list[str]:
        desired: Collection[Key] = self._engine.graph.desired
        names = (key.name if key.is_namespace else key.netns for key in desired)
        return list(dict.fromkeys((HOST, *names)))

    def _topology(self) -> Topology:
        return Topology(self._engine.mirror, self._namespaces())

    async def _declaration(self) -> Declaration:
        found, desired = Declaration({}), self._engine.graph.desired
        keys = [*desired]
        for start in range(0, len(keys), PORTION):
            await self._turns.take()
            for key in keys[start : start + PORTION]:
                one = desired.get(key)
                if one is not None:
                    found.add(key, one, self._engine.table.status(key))
        return found
