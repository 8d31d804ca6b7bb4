"""The socket that the command line asks: one JSON line in, one JSON line out.

Root may ask anything. Members of the group that the daemon runs as (``Group=`` of its unit) may look, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from netd.errors import Busy, Silent, UsageError

SOCKET = "netd.sock"
#: Where it is, unless the command line says something else.
STATE_DIR = "/run/netd"
#: Bytes of a request, at most.
LONGEST = 65536
#: What only looks.
LOOKS = ("status", "wait")
#: struct ucred of SO_PEERCRED, socket(7): pid, uid, gid. The groups beside gid: SO_PEERGROUPS.
CREDENTIALS = struct.Struct("=iII")
SO_PEERGROUPS = 59
MOST_GROUPS = 256
NOT_RUNNING = "netd is not running: start it with 'systemctl start netd'"
SILENT = (
    "the daemon does not answer: it is busy, stopped (SIGSTOP) or hangs: 'journalctl -u netd' tells more, "
    "'systemctl restart netd' starts it again and disturbs nothing"
)
Answerer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def serve(state_dir: str, answer: Answerer) -> asyncio.AbstractServer:
    """Answers requests of root, and of the process's own group. Who asked and hung up ends the work on the answer."""
    path = os.path.join(state_dir, SOCKET)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)

    async def reply(reader: asyncio.StreamReader, peer: socket.socket) -> dict[str, Any]:
        try:
            request = json.loads(await reader.readline())
            if not isinstance(request, dict):
                raise ValueError("a request is an object")
        except (ValueError, RecursionError) as error:
            return {"error": f"not understood: {error}"}
        refusal = refused(peer, request)
        return {"error": refusal} if refusal else await until_gone(reader, answer(request))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Closed also where answering throws: else the other side waits for ever.
        with contextlib.suppress(OSError), contextlib.closing(writer):
            writer.write(json.dumps(await reply(reader, writer.get_extra_info("socket"))).encode() + b"\n")
            await writer.drain()

    # Mode 0660; who may not connect does not get as far as the credentials.
    before = os.umask(0o117)
    try:
        return await asyncio.start_unix_server(handle, path, limit=LONGEST)
    finally:
        os.umask(before)


async def until_gone(reader: asyncio.StreamReader, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The result of ``work``, which is cancelled where the other side hangs up; ConnectionError then."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(hung_up(reader))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ConnectionError("nobody waits for the answer")
    finally:
        working.cancel()
        gone.cancel()


async def hung_up(reader: asyncio.StreamReader) -> None:
    """Returns when the other side is gone; what else it says is not kept."""
    while await reader.read(LONGEST):
        pass


def refused(peer: socket.socket, request: dict[str, Any]) -> str:
    """Why the other side may not ask this; "" where it may."""
    _, user, group = CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    if user == 0:
        return ""
    if request.get("verb") not in LOOKS:
        return "only root may do that: try it with sudo"
    packed = peer.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * MOST_GROUPS)
    groups = {group, *struct.unpack(f"={len(packed) // 4}I", packed)}
    return "" if os.getegid() in groups else "only root and netd's group may ask the daemon"


def ask(state_dir: str, request: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
    """Asks the daemon; UsageError where none runs, Silent where it hangs, Busy where it does not want to answer."""
    path = os.path.join(state_dir, SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                line = answer.readline()
            reply = dict(json.loads(line))
        except PermissionError:
            raise Busy(not_permitted(path)) from None
        except (TimeoutError, BlockingIOError):
            # The second: so many wait already that no more may connect.
            raise Silent(SILENT) from None
        except (OSError, ValueError):
            elsewhere = "" if state_dir == STATE_DIR else f" with the state directory {state_dir}"
            raise UsageError(NOT_RUNNING.replace(":", f"{elsewhere}:", 1)) from None
    if set(reply) == {"error"}:
        raise Busy(str(reply["error"]))
    return reply


def not_permitted(path: str) -> str:
    """What a user who may not ask the daemon can do about it; ``path`` is that of the socket."""
    import grp
    import pwd

    user, group = "USER", "netd"
    with contextlib.suppress(KeyError):
        user = pwd.getpwuid(os.geteuid()).pw_name
    with contextlib.suppress(KeyError, OSError):
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    if group == "root":
        return "only root may ask the daemon: try it with sudo"
    advice = f"'sudo usermod -aG {group} {user}', then log in again"
    return f"only root and the members of the group {group} may ask the daemon: {advice}"
