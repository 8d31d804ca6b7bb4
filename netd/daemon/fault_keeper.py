"""Keeps faults on purpose (``netd fault``): takes them in, lets them change with time, and ends them.

A fault is another declaration of the same object: netd keeps the link down, or impaired, as it keeps everything else,
and repairs all that the fault does not name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from netd.config.diagnostics.explain import meant
from netd.engine.faults import read_fault
from netd.engine.reconciler import Reconciler
from netd.kinds.link.fault_effects import faulty_objects
from netd.model.fault import Fault
from netd.model.key import LinkName
from netd.model.status import State
from netd.report.change_log import ChangeLog

from .passes import Passes

#: States in which a fault has no effect, and that do not pass by themselves.
VAIN = frozenset({State.FAILED, State.CONFLICT})


class FaultKeeper:
    """``before`` is called before a fault has an effect; ``guarded`` calls something, and copes with what it raises."""

    def __init__(
        self,
        engine: Reconciler,
        passes: Passes,
        change_log: ChangeLog,
        *,
        before: Callable[[], None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._engine = engine
        self._faults = engine.faults
        self._passes = passes
        self._change_log = change_log
        self._before = before
        self._guarded = guarded
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Those that an earlier daemon kept go on; what ended meanwhile is over."""
        self._log(self._faults.drop_over(time.monotonic()), "is over")
        self._log(self._faults.all(), "goes on")
        self._arm()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """``{"verb": "fault", "do": "put" | "clear" | "list", ...}``; what cannot be done is an "error"."""
        try:
            if request.get("do") == "put":
                return await self._put(request)
            if request.get("do") == "clear":
                return await self._clear(request)
            return {"faults": self.rows()}
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            return {"error": str(error) or "not understood"}

    async def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        now = time.monotonic()
        lasts = request.get("for")
        fault = read_fault({**request, "began": now, "until": None if lasts is None else now + float(lasts)})
        self._must_be_declared(fault.link)
        former = self._faults.put(fault)
        await self._apply([fault], "begins")
        vain = self._in_vain(fault)
        if vain:
            if former is not None:
                self._faults.put(former)
            else:
                self._faults.drop([fault])
            await self._apply([fault], "is dropped")
            return {"error": vain}
        (row,) = [each for each in self.rows() if each["link"] == str(fault.link) and each["fault"] == fault.form]
        return {"faults": [row]}

    def _must_be_declared(self, link: LinkName) -> None:
        """ValueError for a link that no file declares: nobody would restore it."""
        providers = self._engine.graph.providers
        if link in providers:
            return
        with self._engine.mirror.reading():
            found = self._engine.mirror.link(*link)
        if found is not None:
            table = f"[namespace.{link.netns}.interface.{link.name}]" if link.netns else f"[interface.{link.name}]"
            raise ValueError(f"no file declares {link}, so netd would not restore it: write {table} in a file")
        known = [str(each) for each in providers]
        raise ValueError(f"there is no link {link}{meant(str(link), known)}")

    def _in_vain(self, fault: Fault) -> str:
        """Why a fault has no effect, and will have none; "" where it has one, or waits for its link."""
        *_, key = faulty_objects(self._engine.graph.providers[fault.link], fault)
        row = self._engine.table.get(key)
        return f"{key} is {row.state.value}: {row.reason}" if row is not None and row.state in VAIN else ""

    async def _clear(self, request: dict[str, Any]) -> dict[str, Any]:
        links = [LinkName(str(netns), str(name)) for netns, name in request.get("links", [])]
        known = {one.link for one in self._faults.all()}
        for link in links:
            if link not in known:
                raise ValueError(f"{link} has no fault{meant(str(link), map(str, known))}")
        gone = [one for one in self._faults.all() if not links or one.link in links]
        self._faults.drop(gone)
        await self._apply(gone, "is cleared")
        return {"cleared": [f"{one.link}: {one.words()}" for one in gone]}

    async def _apply(self, faults: Iterable[Fault], what: str) -> None:
        """Returns when it has its effect."""
        self._before()
        self._log(faults, what)
        self._start()
        while self._passes.busy:
            self._passes.idle.clear()
            await self._passes.idle.wait()

    def _start(self) -> None:
        self._change_log.unwritten("faults", self._faults.trouble)
        self._passes.start(self._engine.faults_changed(), drift=False)
        self._arm()

    # time ------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = time.monotonic()
        due = self._faults.next_change(now)
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now) + 0.001, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._guarded(self._changed)
        if self._timer is None:
            self._arm()

    def _changed(self) -> None:
        self._before()
        self._log(self._faults.drop_over(time.monotonic()), "is over")
        self._start()

    # reports ---------------------------------------------------------------------------------------------------

    def _log(self, faults: Iterable[Fault], what: str) -> None:
        for one in faults:
            self._change_log.fault(one, what, time.monotonic())

    def rows(self) -> list[dict[str, Any]]:
        """What ``netd fault list --json`` prints of each; times are RFC 3339, ``left`` is in seconds."""
        now = time.monotonic()
        return [self._row(one, now) for one in self._faults.all() if not one.is_over(now)]

    def _row(self, fault: Fault, now: float) -> dict[str, Any]:
        provider = self._engine.graph.providers.get(fault.link)
        *_, key = faulty_objects(provider, fault) if provider is not None else (None,)
        row = self._engine.table.get(key) if key is not None else None
        facts = asdict(fault)
        chosen = {"netem": ("netem",), "flap": ("down", "up", "times")}.get(fault.form, ())
        return {
            "link": str(fault.link),
            "namespace": fault.link.netns,
            "name": fault.link.name,
            "fault": fault.form,
            "text": fault.text(now),
            "since": moment(fault.began, now),
            "until": None if fault.end is None else moment(fault.end, now),
            "left": None if fault.end is None else round(max(0.0, fault.end - now), 3),
            **{name: facts[name] for name in chosen},
            **({"done": fault.done(now)} if fault.form == "flap" else {}),
            "object": "" if key is None else str(key),
            "state": "" if row is None else row.state.value,
            "reason": "no file declares the link any more" if provider is None else "" if row is None else row.reason,
        }


def moment(monotonic: float, now: float) -> str:
    """A time of the monotonic clock, of which it is ``now``, as RFC 3339."""
    return datetime.fromtimestamp(time.time() + monotonic - now, UTC).isoformat(timespec="microseconds")
