"""Sockets in namespaces, and what the kernel's errors on them mean."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable
from typing import TypeVar

from netd.kernel.kernel import Kernel

T = TypeVar("T")

#: include/uapi/linux/in.h and in6.h: errors of routers on the way reach the socket that they are about.
IP_RECVERR, IPV6_RECVERR = 11, 25
REASONS = {
    errno.ENETUNREACH: "no route",
    errno.EHOSTUNREACH: "no neighbor answers, or a router on the way says that the host is unreachable",
    errno.ECONNREFUSED: "refused: nothing listens there",
    errno.ECONNRESET: "the connection was reset",
    errno.EMSGSIZE: "larger than the MTU of the way",
    errno.EPERM: "a firewall rule of this namespace drops it",
    errno.EACCES: "prohibited by a route or a firewall rule on the way",
    errno.EADDRNOTAVAIL: "no source address for this destination",
    errno.ENETDOWN: "the link is down",
    errno.EPROTO: "a router on the way says that the protocol is not possible",
    errno.ENOPROTOOPT: "refused: the protocol is not available there",
}


class Failed(Exception):
    """One attempt failed; the text says why."""


def why(error: OSError) -> str:
    """The kernel's error, in words of the network."""
    return REASONS.get(error.errno or 0, error.strerror or str(error))


def family_of(address: str) -> socket.AddressFamily:
    """That of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Sockets:
    """Opens sockets in namespaces; the thread is there only for the call."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def open(self, netns: str, address: str, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        """A socket of the address's family that does not block. KernelError: there is no such namespace."""
        descriptor = self._kernel.descriptor(netns)
        try:
            with self._kernel.home.inside(descriptor):
                opened = socket.socket(family_of(address), kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        finally:
            os.close(descriptor)
        six = opened.family == socket.AF_INET6
        opened.setsockopt(*((socket.IPPROTO_IPV6, IPV6_RECVERR, 1) if six else (socket.IPPROTO_IP, IP_RECVERR, 1)))
        return opened


async def in_time(waiting: Awaitable[T], limit: float, what: str) -> T:
    """The result; Failed with ``what`` after ``limit`` seconds, and with the kernel's reason for an OSError."""
    try:
        async with asyncio.timeout(limit):
            return await waiting
    except TimeoutError:
        raise Failed(f"{what} within {limit:.3g} s") from None
    except OSError as error:
        raise Failed(why(error)) from None
