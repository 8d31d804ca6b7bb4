"""TCP connections and UDP datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from .sockets import Failed, Sockets, in_time, why

#: Seconds for an answer to a datagram, and how often it is sent in this time. Without an answer it was not refused.
ANSWER, TIMES = 1.2, 4


async def connected(sockets: Sockets, netns: str, address: str, port: int, limit: float) -> socket.socket:
    """A TCP connection, which the caller closes; Failed."""
    opened = sockets.open(netns, address, socket.SOCK_STREAM)
    try:
        loop = asyncio.get_running_loop()
        await in_time(loop.sock_connect(opened, (address, port)), limit, "no answer")
    except BaseException:
        opened.close()
        raise
    return opened


async def tcp(sockets: Sockets, netns: str, address: str, port: int, limit: float) -> str:
    """Whether a connection is accepted."""
    start = asyncio.get_running_loop().time()
    opened = await connected(sockets, netns, address, port, limit)
    opened.close()
    return f"connected, {(asyncio.get_running_loop().time() - start) * 1000:.3g} ms"


async def udp(sockets: Sockets, netns: str, address: str, port: int, limit: float) -> str:
    """Whether a datagram is answered, or at least not refused.

    It is sent several times for longer than a second: a host refuses only one datagram a second once it has refused a
    few (icmp_ratelimit), and silence would look like acceptance.
    """
    loop = asyncio.get_running_loop()
    with contextlib.closing(sockets.open(netns, address, socket.SOCK_DGRAM)) as opened:
        try:
            opened.connect((address, port))
            for _ in range(TIMES):
                opened.send(b"netd test\n")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(limit, ANSWER) / TIMES):
                        answer = await loop.sock_recv(opened, 1 << 16)
                        return f"answered with {len(answer)} bytes"
        except OSError as error:
            raise Failed(why(error)) from None
    return "not refused, and no answer"
