"""Processes that were left in a namespace that was recreated: its name leads to a new one, their network is the old.

Everything that netd manages is right then, and yet a service is unreachable until it is restarted. So its
processes are named, with their units, in the status and in the log, until they have ended. The identities of former
namespaces are kept in the ledger, for as long as a process is in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from netd.engine.ledger import Ledger
from netd.kernel.kernel import Kernel
from netd.kernel.netns.inhabitants import Inhabitant
from netd.model.change import ChangeResult
from netd.model.key import Key, namespace_key
from netd.report.structured import BoundLogger

#: Where the ledger's record of a namespace has the cookies of former ones.
FORMER = "former"
#: Seconds between two checks while there are any.
PERIOD = 10.0


class StrandedProcesses:
    """``done`` gets every change, ``check`` is called when a pass is over."""

    def __init__(self, kernel: Kernel, ledger: Ledger, log: BoundLogger) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._log = log
        self._cookies = {key.name: self._cookie(key) for key in ledger if key.is_namespace}
        self._due = any(self._former().values())
        self._told: dict[tuple[str, int], Inhabitant] = {}
        self._timer: asyncio.TimerHandle | None = None

    def done(self, result: ChangeResult) -> None:
        """A namespace that was created: there may have been one of that name before."""
        key = result.change.key
        if not key.is_namespace or result.error:
            return
        before, now = self._cookies.get(key.name), self._cookie(key)
        self._cookies[key.name] = now
        if before is not None and now is not None and before != now:
            self._keep(key, {*self._former().get(key.name, ()), before})
            self._due = True

    def check(self) -> None:
        """Looks for processes, if there was a reason, and logs those that are new."""
        if self._due:
            self._due = False
            self.found()

    def found(self) -> list[dict[str, Any]]:
        """All of them now, as JSON: {"namespace", "pid", "command", "unit"}."""
        former = {cookie: name for name, cookies in self._former().items() for cookie in cookies}
        if not former:
            return []
        inside = self._kernel.inhabitants(former.keys())
        for name in {former[cookie] for cookie in former.keys() - inside.keys()}:
            # No process is in it any more, and none can enter a namespace without a name.
            self._keep(namespace_key(name), {each for each in inside if former[each] == name})
        self._tell({(former[cookie], one.pid): one for cookie, group in inside.items() for one in group})
        if inside and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._again)
        return [{"namespace": name, **one._asdict()} for (name, _), one in sorted(self._told.items())]

    def _again(self) -> None:
        self._timer = None
        self.found()

    def _tell(self, found: Mapping[tuple[str, int], Inhabitant]) -> None:
        for (name, pid), one in found.items():
            if (name, pid) not in self._told:
                advice = f"'systemctl restart {one.unit}'" if one.unit.endswith(".service") else "start it again"
                unit = f" of {one.unit}" if one.unit else ""
                self._log.warning(
                    f"process {pid} ({one.command}){unit} is still in the old namespace {name}, which was deleted: "
                    f"it is not connected to the new one: {advice}",
                    message="stranded", namespace=name, pid=pid, unit=one.unit,
                )  # fmt: skip
        for name in {name for name, _ in self._told} - {name for name, _ in found}:
            self._log.info(f"no process is left in the old namespace {name}", message="recovered", namespace=name)
        self._told = dict(found)

    # the ledger ------------------------------------------------------------------------------------------------

    def _cookie(self, key: Key) -> int | None:
        record = self._ledger.get(key)
        return record.identity.get("cookie") if record is not None else None

    def _former(self) -> Mapping[str, list[int]]:
        """{name: cookies}."""
        found = {}
        for name in self._cookies:
            record = self._ledger.get(namespace_key(name))
            if record is not None and record.memory.get(FORMER):
                found[name] = record.memory[FORMER]
        return found

    def _keep(self, key: Key, cookies: set[int]) -> None:
        record = self._ledger.get(key)
        if record is not None:
            memory = {name: value for name, value in record.memory.items() if name != FORMER}
            self._ledger.update(key, memory={**memory, FORMER: sorted(cookies)} if cookies else memory)
