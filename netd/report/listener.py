"""Connections of local programs: how many, for how long, and with which descriptor numbers.

A local user can connect a thousand times, send nothing, and read nothing. Each peer (a user) has a limited number of
connections; the longest one without a request, or else the oldest, is closed for a new one. A request and the reading
of an answer have time limits. Accepted descriptors get high numbers: libnftables needs a low one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable, Hashable

#: Descriptors of connections are from here upwards (FD_SETSIZE).
HIGH = 1024
#: Connections accepted in one turn of the loop, and seconds without any where no descriptor is left.
BURST, PAUSE = 16, 1.0
#: Seconds for a whole request, for the next bytes of an answer to be taken, and for all of it.
REQUEST_TIME, STALL_TIME, ANSWER_TIME = 10.0, 10.0, 120.0
#: Bytes that are handed to the kernel, or taken from it, at once.
PIECE = 1 << 16


class Connection:
    """One accepted connection. ``asked``: its request has come. TimeoutError and OSError end it."""

    def __init__(self, accepted: socket.socket, peer: Hashable) -> None:
        self.socket = accepted
        self.peer = peer
        self.asked = False
        self.task: asyncio.Task[None] | None = None
        #: When the other side last took something of its answer, None as long as there is none.
        self.taken: float | None = None
        self._begun = 0.0

    async def read_until(self, end: bytes, most: int) -> bytes:
        """The request up to and with ``end``; what there is, where the other side ends it. ValueError: it is longer."""
        loop, data = asyncio.get_running_loop(), b""
        async with asyncio.timeout(REQUEST_TIME):
            while end not in data:
                if len(data) > most:
                    raise ValueError(f"longer than {most} bytes")
                piece = await loop.sock_recv(self.socket, PIECE)
                if not piece:
                    break
                data += piece
        self.asked = True
        return data.partition(end)[0] + end if end in data else data

    async def hung_up(self) -> None:
        """Returns when the other side has closed; discards what it sends."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while await loop.sock_recv(self.socket, PIECE):
                pass

    async def send(self, data: bytes) -> None:
        """Sends the whole answer directly from ``data``, without a copy."""
        loop, left = asyncio.get_running_loop(), memoryview(data)
        self._begun = self.taken = loop.time()
        async with asyncio.timeout(ANSWER_TIME):
            while left:
                try:
                    left = left[self.socket.send(left[:PIECE]) :]
                    self.taken = loop.time()
                except BlockingIOError:
                    async with asyncio.timeout(STALL_TIME):
                        await self._writable()

    async def stream(self, data: bytes) -> None:
        """Sends a part of an answer that does not end; waits as long as it takes for the other side to read."""
        left = memoryview(data)
        while left:
            try:
                left = left[self.socket.send(left[:PIECE]) :]
            except BlockingIOError:
                await self._writable()

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_writer(self.socket, _be_done, ready)
        try:
            await ready
        finally:
            loop.remove_writer(self.socket)

    def stalled(self, now: float, still: float, whole: float) -> bool:
        """Whether its answer has not moved for ``still`` seconds, or is under way for ``whole``."""
        return self.taken is not None and (now - self.taken > still or now - self._begun > whole)

    def drop(self) -> None:
        """Ends it."""
        if self.task is not None:
            self.task.cancel()


class Listener:
    """Accepts on ``listening`` and hands each connection to ``serve``.

    ``peer_of`` returns the peer of a connection; each peer can have ``most`` connections.
    """

    def __init__(
        self,
        listening: socket.socket,
        serve: Callable[[Connection], Awaitable[None]],
        peer_of: Callable[[socket.socket], Hashable],
        most: int,
    ) -> None:
        self._listening = listening
        self._serve = serve
        self._peer_of = peer_of
        self._most = most
        self._open: dict[Hashable, dict[Connection, None]] = {}
        self._loop = asyncio.get_running_loop()
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept)

    def of(self, peer: Hashable) -> list[Connection]:
        """The connections of one peer, the oldest first."""
        return list(self._open.get(peer, ()))

    def close(self) -> None:
        """Ends them all."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for connection in [one for of_peer in self._open.values() for one in of_peer]:
            connection.drop()

    def _accept(self) -> None:
        for _ in range(BURST):
            try:
                accepted = with_high_number(self._listening.accept()[0])
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No descriptor is left: another attempt at once would fail, too.
                self._loop.remove_reader(self._listening)
                self._loop.call_later(PAUSE, self._resume)
                return
            self._take(accepted)

    def _resume(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._accept)

    def _take(self, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(False)
            connection = Connection(accepted, self._peer_of(accepted))
        except OSError:
            accepted.close()
            return
        of_peer = self._open.setdefault(connection.peer, {})
        if len(of_peer) >= self._most:
            first = next((one for one in of_peer if not one.asked), None) or next(iter(of_peer))
            first.drop()
            del of_peer[first]
        of_peer[connection] = None
        connection.task = self._loop.create_task(self._run(connection))

    async def _run(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(OSError, TimeoutError):
                await self._serve(connection)
        finally:
            connection.socket.close()
            of_peer = self._open.get(connection.peer, {})
            of_peer.pop(connection, None)
            if not of_peer:
                self._open.pop(connection.peer, None)


def _be_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def with_high_number(accepted: socket.socket) -> socket.socket:
    """The same connection under a number that leaves the low ones free; OSError where there is none."""
    try:
        copy = fcntl.fcntl(accepted.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the limit of open files is below
            accepted.close()
            raise
        return accepted
    os.close(accepted.detach())
    return socket.socket(fileno=copy)
