"""The socket that the command line asks: one JSON line in, one JSON line out.

Root can send all requests. Members of the daemon's group (``Group=`` of its unit) can only read, and
nothing that they do delays a repair (``listener``, ``snapshots``, ``turns``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Generator, Hashable
from typing import Any, Protocol

from netd.errors import Busy, Silent, UsageError

from .listener import Connection, Listener
from .snapshots import Snapshots
from .turns import Turns

SOCKET = "netd.sock"
#: Where it is, unless the command line says something else.
STATE_DIR = "/run/netd"
#: Bytes of a request, at most.
LONGEST = 65536
#: The requests that only read.
LOOKS = ("status", "wait", "watch", "graph", "show", "history", "rates", "trace")
#: The requests that are answered by lines without end.
STREAMS = frozenset({"watch"})
#: struct ucred of SO_PEERCRED, socket(7): pid, uid, gid. The groups beside gid: SO_PEERGROUPS.
CREDENTIALS = struct.Struct("=iII")
SO_PEERGROUPS = 59
MOST_GROUPS = 256
NOT_RUNNING = "netd is not running: start it with 'systemctl start netd'"
SILENT = (
    "the daemon does not answer: it is busy, stopped (SIGSTOP) or hangs: 'journalctl -u netd' tells more, "
    "'systemctl restart netd' starts it again and disturbs nothing"
)
#: Connections of one user at once.
MOST = 512
#: The send buffer of each connection, in bytes: a thousand unread answers must cost little memory.
SEND_BUFFER = 1 << 15
#: Seconds without progress, and in total, that an answer can take while others of the same user wait.
STALLED, WHOLE = 1.0, 10.0


class Asked(Protocol):
    """The source of the answers."""

    async def snapshot(self) -> bytes:
        """What ``status`` answers, as JSON; made in steps (``Turns``)."""

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What any other request is answered. Cancelled if the other side closes the connection."""

    def stream(self, request: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """The lines of a request that is answered without end."""


class StatusSocket:
    """Answers requests of root, and of the process's own group; ``turns`` keeps that from costing a repair anything."""

    def __init__(self, state_dir: str, asked: Asked, turns: Turns) -> None:
        path = os.path.join(state_dir, SOCKET)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        # Mode 0660: other users cannot connect, so their credentials are never checked.
        before = os.umask(0o117)
        try:
            listening.bind(path)
        finally:
            os.umask(before)
        listening.listen(MOST)
        self._asked = asked
        self._turns = turns
        self._listener = Listener(listening, self._serve, user_of, MOST)
        self._snapshots = Snapshots(asked.snapshot, self._drop_stalled)

    def close(self) -> None:
        """No more answers."""
        self._listener.close()

    def _drop_stalled(self, peer: Hashable) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._listener.of(peer):
            if connection.stalled(now, STALLED, WHOLE):
                connection.drop()

    async def _serve(self, connection: Connection) -> None:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        try:
            line = await connection.read_until(b"\n", LONGEST)
            await self._turns.take()
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("a request is an object")
            if not isinstance(request.get("verb", ""), str):
                raise ValueError("a verb is a word")
        except (ValueError, RecursionError) as error:
            return await self._reply(connection, {"error": f"not understood: {error}"})
        refusal = refused(connection.socket, request)
        if refusal:
            return await self._reply(connection, {"error": refusal})
        if request.get("verb") in STREAMS:
            await until_gone(connection, self._stream(connection, request))
            return None
        if request.get("verb") != "status":
            return await self._reply(connection, await until_gone(connection, self._asked.answer(request)))
        async with self._snapshots.newest(connection.peer) as snapshot:
            await self._turns.take()
            return await connection.send(snapshot)

    async def _stream(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        async with contextlib.aclosing(self._asked.stream(request)) as lines:
            async for portion in lines:
                await connection.stream(portion)
        return {}

    async def _reply(self, connection: Connection, reply: dict[str, Any]) -> None:
        await self._turns.take()
        await connection.send(json.dumps(reply).encode() + b"\n")


async def until_gone(connection: Connection, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The result of ``work``, which is cancelled where the other side hangs up; ConnectionError then."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(connection.hung_up())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ConnectionError("the other side has closed the connection")
    finally:
        working.cancel()
        gone.cancel()


def user_of(peer: socket.socket) -> int:
    """The user at the other side."""
    return int(credentials(peer)[0])


def credentials(peer: socket.socket) -> tuple[int, int]:
    """User and group of the other side."""
    _, user, group = CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return user, group


def refused(peer: socket.socket, request: dict[str, Any]) -> str:
    """Why the other side is not allowed to send this request; "" if it is."""
    user, group = credentials(peer)
    if user == 0:
        return ""
    if request.get("verb") not in LOOKS and (request.get("verb"), request.get("do")) != ("fault", "list"):
        return "only root may do that: try it with sudo"
    packed = peer.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * MOST_GROUPS)
    groups = {group, *struct.unpack(f"={len(packed) // 4}I", packed)}
    return "" if os.getegid() in groups else "only root and netd's group may ask the daemon"


def ask(state_dir: str, request: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
    """Asks the daemon; UsageError if it does not run, Silent if it hangs, Busy if it refuses to answer."""
    with contextlib.closing(replies(state_dir, request, timeout)) as found:
        for reply in found:
            return reply
    raise UsageError(not_running(state_dir))


def replies(
    state_dir: str, request: dict[str, Any], timeout: float | None = None
) -> Generator[dict[str, Any], None, None]:
    """The lines of its answer, one after the other, until it ends; errors as ``ask``."""
    path = os.path.join(state_dir, SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
        except PermissionError:
            raise Busy(not_permitted(path)) from None
        except (TimeoutError, BlockingIOError):
            # EAGAIN: the queue of waiting connections is full.
            raise Silent(SILENT) from None
        except OSError:
            raise UsageError(not_running(state_dir)) from None
        with connection.makefile("rb") as answer:
            while True:
                try:
                    line = answer.readline()
                    reply: dict[str, Any] | None = json.loads(line) if line else None
                    if line and not isinstance(reply, dict):
                        raise ValueError("an answer is an object")
                except TimeoutError:
                    raise Silent(SILENT) from None
                except (OSError, ValueError):
                    raise UsageError(not_running(state_dir)) from None
                if reply is None:
                    return
                if set(reply) == {"error"}:
                    raise Busy(str(reply["error"]))
                yield reply


def not_running(state_dir: str) -> str:
    """That it does not run, and how to start it."""
    elsewhere = "" if state_dir == STATE_DIR else f" with the state directory {state_dir}"
    return NOT_RUNNING.replace(":", f"{elsewhere}:", 1)


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
