"""Echo requests, as ping(8) sends them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass, field

from netd.config.checks.table import CheckTable
from netd.config.checks.values import seconds, share

from .sockets import Failed, Sockets, why

#: Seconds between two requests, and after the last one for its answer.
INTERVAL, PATIENCE = 0.02, 1.0
#: Requests where a share of them counts.
SEVERAL = 10
#: include/uapi/linux/in.h and in6.h.
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, DO = 10, 23, 2
IPV6_DONTFRAG = 62
REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}


@dataclass
class Pings:
    """The requests of one attempt: when each was sent, and how long its answer took, in seconds."""

    opened: socket.socket
    number: int
    sent: dict[int, float] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)
    error: str = ""

    def send(self, sequence: int, size: int) -> None:
        """One request. The kernel's refusal is kept: others may pass."""
        header = struct.pack("!BBHHH", REQUEST[self.opened.family], 0, 0, self.number, sequence)
        data = bytes(at & 255 for at in range(size))
        if self.opened.family == socket.AF_INET:
            header = header[:2] + struct.pack("!H", checksum(header + data)) + header[4:]
        self.sent[sequence] = asyncio.get_running_loop().time()
        try:
            self.opened.send(header + data)
        except OSError as error:
            self.error = why(error)

    async def receive(self) -> None:
        """Takes answers until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.sock_recv(self.opened, 1 << 16)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    self.error = why(error)
                continue
            self.take(data, loop.time())

    def take(self, data: bytes, now: float) -> None:
        """One message; the IPv4 header is in front of it."""
        message = data[(data[0] & 15) * 4 :] if self.opened.family == socket.AF_INET and data else data
        if len(message) < 8:
            return
        kind, _, _, number, sequence = struct.unpack_from("!BBHHH", message)
        if kind == REPLY[self.opened.family] and number == self.number and sequence in self.sent:
            self.took.setdefault(sequence, now - self.sent[sequence])


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    padded = data + b"\0" * (len(data) & 1)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


async def ping(sockets: Sockets, netns: str, address: str, table: CheckTable, limit: float) -> str:
    """One attempt; what it measured, in words. Failed."""
    protocol = socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP
    with contextlib.closing(sockets.open(netns, address, socket.SOCK_RAW, protocol)) as opened:
        if table.df:
            forbid_fragments(opened)
        try:
            opened.connect((address, 0))
        except OSError as error:
            raise Failed(why(error)) from None
        pings = Pings(opened, int.from_bytes(os.urandom(2), "big"))
        await exchange(pings, table, min(limit, PATIENCE))
    return judged(pings, table)


def forbid_fragments(opened: socket.socket) -> None:
    """As `ping -M do`."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, DO)
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, DO)


async def exchange(pings: Pings, table: CheckTable, patience: float) -> None:
    """Sends all requests, and waits for the answers."""
    count = table.count or (1 if table.max_loss is None else SEVERAL)
    receiving = asyncio.ensure_future(pings.receive())
    try:
        for sequence in range(count):
            pings.send(sequence, table.size)
            if sequence + 1 < count:
                await asyncio.sleep(INTERVAL)
        end = asyncio.get_running_loop().time() + patience
        while len(pings.took) < count and asyncio.get_running_loop().time() < end:
            if pings.error and count == 1:
                break
            await asyncio.sleep(0.002)
    finally:
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiving


def judged(pings: Pings, table: CheckTable) -> str:
    """What was measured, where it is as the check wants it; else Failed."""
    sent, answered = len(pings.sent), len(pings.took)
    loss = 1 - answered / sent
    if not answered:
        raise Failed(pings.error or "no answer")
    if table.max_loss is not None and loss > share(table.max_loss):
        lost = f"{sent - answered} of {sent} lost, {loss:.0%}: more than {table.max_loss}"
        raise Failed(f"{lost} ({pings.error})" if pings.error else lost)
    slowest = max(pings.took.values())
    if table.max_rtt is not None and slowest > seconds(table.max_rtt):
        raise Failed(f"the slowest answer took {slowest * 1000:.3g} ms: more than {table.max_rtt}")
    measured = f"{slowest * 1000:.3g} ms"
    return measured if sent == 1 else f"{answered} of {sent} answered, {measured}"
