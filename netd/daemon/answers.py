"""What the daemon answers to requests: the state of the network, as far as it is known now."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from netd.engine.reconciler import Reconciler
from netd.engine.status.diagnostics import with_diagnostics, with_faults
from netd.model.key import Key
from netd.model.status import State, overall_of
from netd.report.text import objects_json, state_line, whole_json
from netd.report.turns import Turns

from .feed import Feed
from .files_report import FilesReport
from .traces import Traces
from .trials import Trials
from .views import VIEWS, Views
from .waiters import Waiters, not_ready

#: Objects of a status in one step, and how often it is restarted because of a pass.
PORTION, TRIES = 200, 3
BUILDING = "netd is still building"


class Answers:
    """``busy``: something is about to change. ``broken``: why the state is unknown. ``files``: their states.

    ``reload`` reads the files and returns what could not be taken; ``fault`` answers requests for faults on purpose.
    """

    def __init__(
        self,
        engine: Reconciler,
        busy: Callable[[], bool],
        broken: Callable[[], str],
        files: FilesReport,
        stranded: Callable[[], list[dict[str, Any]]],
        reload: Callable[[], Awaitable[list[str]]],
        trials: Trials,
        fault: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
    ) -> None:
        self._engine = engine
        self._busy = busy
        self._broken = broken
        self._files = files
        self._stranded = stranded
        self._reload = reload
        self._trials = trials
        self._fault = fault
        self._started = time.time()
        self.turns = Turns()
        self.feed = Feed(self.turns, engine.statuses, files.states, self.state)
        self.views = Views(engine, self.feed, self.turns)
        self._traces = Traces()
        self.waiters = Waiters(self.is_ok, self.is_complete, self.not_ready, self.turns)

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Anything but ``status``."""
        if request.get("verb") == "wait":
            return await self.waiters.answer(request)
        if request.get("verb") == "reload":
            # Once begun it is finished, also if the client disconnects: systemd was notified.
            errors = await asyncio.shield(asyncio.ensure_future(self._reload()))
            status: dict[str, Any] = json.loads(await self.snapshot())
            return status | {"errors": errors}
        if request.get("verb") == "try":
            return await self._trials.answer(request)
        if request.get("verb") == "fault":
            return await asyncio.shield(asyncio.ensure_future(self._fault(request)))
        if request.get("verb") == "trace":
            return await self._traces.answer(request)
        if request.get("verb") in VIEWS:
            return await self.views.answer(request)
        return {"error": "unknown verb"}

    def stream(self, request: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """The lines of ``watch``."""
        return self.feed.lines(state=request.get("state") is not False)

    async def snapshot(self) -> bytes:
        """What ``status`` answers: in steps, and once more where a pass came between; then as it is."""
        table, graph = self._engine.table, self._engine.graph
        faults = self._engine.fault_texts()
        for _ in range(TRIES):
            passes, pieces = self._engine.passes, []
            keys = [*graph.desired]
            for at in range(0, len(keys), PORTION):
                await self.turns.take()
                found = [table.status(key) for key in keys[at : at + PORTION]]
                rows = with_faults(with_diagnostics(found, graph.desired, self._engine.mirror), faults)
                pieces.append(objects_json(rows, graph.desired))
            pieces.append(objects_json(table.statuses(()), {}))
            if passes == self._engine.passes:
                break
        head = {"state": self.state(), "summary": self.summary(), "started": self._started}
        head |= {**self._files.json(), "stranded": self._stranded()}
        trying = self._trials.state()
        head |= {"try": trying} if trying else {}
        return whole_json(head, filter(None, pieces))

    def state(self) -> str:
        """Of the whole; "converged" only if everything is known."""
        if self._broken():
            return "degraded"
        if self._busy():
            return "converging"
        return overall_of(self._engine.table.counts(), incomplete=self._files.incomplete)

    def summary(self) -> str:
        """Counts by state, and the first trouble."""
        text = self._engine.table.summary()
        return f"{self._broken()}; before that: {text}" if self._broken() else text

    def is_ok(self, key: Key | None) -> bool:
        """Whether an object is right, or (None) the whole, as far as that is known now."""
        if self._busy() or self._broken():
            return False
        if key is None:
            return not self._engine.table.any_not_settled()
        row = self._engine.table.get(key)
        return row is not None and row.state is State.OK

    def is_complete(self) -> bool:
        """Whether all files are in force as written, and no object waits for anything."""
        return not self._files.incomplete and not self._engine.table.any_not_ok()

    def not_ready(self, keys: Sequence[Key], strict: bool) -> list[str]:
        """Why the network, or these objects, are not ready; [] if they are. ``strict``: or why it is not complete."""
        if self._broken():
            return [self._broken()]
        if self._busy():
            return [BUILDING]
        if not strict:
            return not_ready(self._engine.table, keys)
        others = [state_line(row) for row in self._engine.table.not_ok()]
        return list(dict.fromkeys([*not_ready(self._engine.table, keys), *self._files.problems(), *others]))
