"""Hears the kernel announce changes, in all namespaces: so that a bench can wait without looking all the time."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable

from netd.kernel import events


class Ear:
    """Announcements of the next ``wait`` are those from ``start`` on."""

    def __init__(self) -> None:
        route = events.listening(socket.NETLINK_ROUTE, events.GROUPS, events.BUFFER)
        nft = events.listening(events.NETLINK_NETFILTER, (events.NFNLGRP_NFTABLES,), events.BUFFER)
        self._sockets = [one for one in (route, nft) if one is not None]
        self._poll = select.poll()
        for one in self._sockets:
            self._poll.register(one, select.POLLIN)

    def start(self) -> None:
        """What was announced so far is no news."""
        self._drain()

    def wait(self, told: Callable[[int, bytes], bool], deadline: float) -> float | None:
        """The time (perf_counter) at which such a message (type, body) was there; None: none came by then."""
        while True:
            left = deadline - time.perf_counter()
            if left <= 0 or not self._poll.poll(left * 1000):
                return None
            heard = time.perf_counter()
            if any(told(kind, body) for kind, body in self._drain()):
                return heard

    def _drain(self) -> list[tuple[int, bytes]]:
        found = []
        for one in self._sockets:
            while True:
                try:
                    data = one.recv(1 << 16)
                except BlockingIOError:
                    break
                at = 0
                while at + 16 <= len(data):
                    length, kind = struct.unpack_from("=IH", data, at)
                    found.append((kind, data[at + 16 : at + length]))
                    at += max(16, (length + 3) & ~3)
        return found

    def close(self) -> None:
        """Ends it."""
        for one in self._sockets:
            one.close()
