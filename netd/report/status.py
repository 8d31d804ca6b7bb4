"""The socket that the command line asks: one JSON line in, one JSON line out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from netd.errors import UsageError

SOCKET = "netd.sock"
#: Bytes of a request, at most.
LONGEST = 65536
Answerer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def serve(state_dir: str, answer: Answerer) -> asyncio.AbstractServer:
    """Answers requests; root only (mode 0600)."""
    path = os.path.join(state_dir, SOCKET)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("a request is an object")
            reply = await answer(request)
        except (ValueError, RecursionError) as error:
            reply = {"error": f"not understood: {error}"}
        except OSError:
            writer.close()
            return
        with contextlib.suppress(OSError):
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(handle, path, limit=LONGEST)
    finally:
        os.umask(before)


def ask(state_dir: str, request: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
    """Asks the daemon; UsageError where none runs."""
    path = os.path.join(state_dir, SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                line = answer.readline()
            reply = json.loads(line)
        except PermissionError:
            raise UsageError(f"{path}: only root may ask the daemon") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"no daemon answers at {path} ({error}): start it with 'systemctl start netd'") from None
    return dict(reply)
