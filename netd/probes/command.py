"""Commands, run as root in a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from .sockets import Failed


async def command(netns: str, words: Sequence[str], limit: float) -> str:
    """Whether a command ends with 0; what it printed last, if it does not. Failed.

    By ip(8), which starts in two milliseconds, not by `netd exec`: checks are tried again and again.
    """
    inside = ["ip", "netns", "exec", netns] if netns else []
    try:
        process = await asyncio.create_subprocess_exec(
            *inside, *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Failed(f"{words[0]}: {error.strerror}") from None
    try:
        async with asyncio.timeout(limit):
            output, _ = await process.communicate()
    except TimeoutError:
        raise Failed(f"it did not end within {limit:.3g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode == 0:
        return "status 0"
    said = output.decode(errors="replace").strip().rpartition("\n")[2]
    raise Failed(f"status {process.returncode}" + (f": {said}" if said else ""))
