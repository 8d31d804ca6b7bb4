"""``netd try``: the daemon puts files into their places, holds the time, and puts the former ones back.

The command stays connected. If its connection ends before it says "keep", or the time is over, or the daemon ends, the
files are put back; after a SIGKILL or a reboot, by the next start, before it reads the directory.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netd.config import trial
from netd.config.trial import Record, TrialError

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

#: Seconds that a try can last, at most.
LONGEST = 86400.0


class Trials:
    """At most one try. ``read`` reads the files, and removes at once what they no longer declare."""

    def __init__(self, directory: str, read: Callable[[], None], log: BoundLogger) -> None:
        self._directory = directory
        self._read = read
        self._log = log
        self._record: Record | None = None
        self._end = 0.0
        self._kept: asyncio.Future[bool] | None = None

    def put_back_unfinished(self) -> None:
        """Before the files are read for the first time: what a killed daemon left half-tried."""
        for record in trial.unfinished(self._directory):
            self._put_back(record, "netd ended before it was confirmed")
        trial.clean(self._directory)

    def end(self, reason: str) -> None:
        """Puts a try back, if there is one."""
        if self._record is not None:
            self._put_back(self._record, reason)

    def state(self) -> dict[str, Any]:
        """What is tried now, and how many seconds are left; {} for nothing."""
        if self._record is None:
            return {}
        left = max(0.0, self._end - time.monotonic())
        return {"files": [self._record.place(each.name) for each in self._record.files], "left": round(left, 1)}

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """ "begin" is answered when the try ends; "keep", "give up" and "state" at once."""
        action = request.get("action")
        if action == "state":
            return {"try": self.state()}
        if action in ("keep", "give up"):
            return self._answered(str(request.get("stage")), keep=action == "keep")
        try:
            stage, names = str(request["stage"]), [str(name) for name in request["names"]]
            timeout = min(float(request["timeout"]), LONGEST)
        except (KeyError, TypeError, ValueError):
            return {"error": "not understood: a try has a stage, names and a timeout"}
        return await self._hold(stage, names, timeout)

    def _answered(self, stage: str, *, keep: bool) -> dict[str, Any]:
        record = self._record
        if record is None or record.stage != stage or self._kept is None or self._kept.done():
            return {"error": "there is nothing to keep: the files were put back"}
        if keep:
            self._record = None
            trial.discard(record)
            self._log.info(f"kept: {listed(record)}", message="tried")
        self._kept.set_result(keep)
        return {"state": "kept" if keep else "put back"}

    async def _hold(self, stage: str, names: list[str], timeout: float) -> dict[str, Any]:
        if self._record is not None:
            left = self.state()["left"]
            return {
                "error": f"{listed(self._record)} is being tried already, for {left:.0f} s more: wait until that ends"
            }
        try:
            self._record = trial.begin(self._directory, stage, names)
        except (TrialError, OSError) as error:
            return {"error": f"nothing was changed: {error}{self._advice()}"}
        self._end = time.monotonic() + timeout
        self._kept = asyncio.get_running_loop().create_future()
        self._log.info(f"a try of {timeout:.0f} s begins: {listed(self._record)}", message="tried")
        reason, said = "the command has ended", list[str]()
        try:
            self._read()
            async with asyncio.timeout(timeout):
                if await asyncio.shield(self._kept):
                    return {"state": "kept"}
            reason = "it was not confirmed"
        except TimeoutError:
            reason = f"it was not confirmed within {timeout:.0f} s"
        finally:
            if self._record is not None:
                said = self._put_back(self._record, reason)
        return {"state": "put back", "reason": reason, "said": said}

    def _put_back(self, record: Record, reason: str) -> list[str]:
        self._record = None
        try:
            said = trial.put_back(record)
        except OSError as error:
            said = [f"{error.filename or self._directory}: {error.strerror}: the next start of netd puts it back"]
        self._log.info(f"put back: {listed(record)}: {reason}", message="tried")
        for text in said:
            self._log.info(text, message="tried")
        if self._kept is not None:
            self._read()
        return said

    def _advice(self) -> str:
        if os.access(self._directory, os.W_OK):
            return ""
        return f" (the service may not write to {self._directory}: 'systemctl restart netd', or see ReadWritePaths=)"


def listed(record: Record) -> str:
    """The files of a try."""
    return ", ".join(record.place(each.name) for each in record.files)
