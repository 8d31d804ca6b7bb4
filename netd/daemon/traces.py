"""``netd trace`` for those who cannot read the kernel: a command of its own, so that it costs the daemon nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any

#: Seconds that one may take; traces at once; characters of a name.
PATIENCE, AT_ONCE, LONGEST = 20.0, 2, 100
PROTOCOLS = frozenset({"", "icmp", "tcp", "udp"})


class Traces:
    """Answers ``{"verb": "trace", "from", "to", "protocol"}`` with the document of ``netd trace --json``."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The document, or {"error"}."""
        words = [request.get("from", ""), request.get("to", ""), request.get("protocol", "")]
        if not all(isinstance(word, str) and len(word) <= LONGEST for word in words) or words[2] not in PROTOCOLS:
            return {"error": "not understood: 'from' and 'to' are names or addresses, 'protocol' icmp, tcp or udp"}
        begin, end, protocol = words
        if not begin or not end:
            return {"error": "a trace needs 'from' and 'to'"}
        options = ["--protocol", protocol] if protocol else []
        async with self._free:
            return await self._run(["trace", "--json", *options, "--", begin, end])

    async def _run(self, arguments: list[str]) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "netd",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                printed, said = await process.communicate()
        except TimeoutError:
            return {"error": f"the trace took more than {PATIENCE:.0f} seconds"}
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        try:
            document: dict[str, Any] = json.loads(printed)
        except ValueError:
            lines = said.decode(errors="backslashreplace").strip().splitlines() or ["the trace failed"]
            return {"error": lines[-1].removeprefix("netd: ")}
        return document
