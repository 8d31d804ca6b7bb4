"""Announces addresses three times within two seconds, from a thread of its own.

No socket stays open in a namespace between these times: it would keep a deleted namespace alive. Closing a packet
socket takes about 8 ms, so a few threads do only that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import heapq
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from netd.errors import KernelError
from netd.kernel.netns.setns import HomeNamespace, enter

from . import frames

#: Seconds after which an address is announced again.
AGAIN = (0.4, 1.0)
#: Sockets that wait to be closed, at most: they are descriptors.
UNCLOSED = 32
#: The same for a command, which is about to end.
AT_ONCE = 0.02
CLOSERS = 8
SIOCGIFFLAGS, SIOCGIFHWADDR = 0x8913, 0x8927
IFF_UP, IFF_LOOPBACK, IFF_NOARP = 0x1, 0x8, 0x80
ARPHRD_ETHER = 1
FORWARDING = "/proc/sys/net/ipv6/conf/{}/forwarding"
#: Errors for a link or an address that was removed, or set down, since: it is announced when it is back.
GONE = frozenset({
    errno.ENODEV, errno.ENXIO, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.ENOBUFS, errno.EINVAL,
})  # fmt: skip


class Announcement(NamedTuple):
    """``address`` (without prefix length) is on ``link`` of namespace ``netns`` ("" is the host)."""

    netns: str
    link: str
    address: str


class Announcer:
    """``descriptor`` opens a namespace by its name (KernelError where it is not there); ``report`` is called with what
    could not be sent."""

    def __init__(self, home: HomeNamespace, descriptor: Callable[[str], int], report: Callable[[str], None]) -> None:
        self._home = home
        self._descriptor = descriptor
        self._report = report
        #: (time, number of the attempt, what), the earliest first.
        self._due: list[tuple[float, int, Announcement]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = self._closed = False
        #: Refusals concern the whole machine (a sandbox, a limit): each is reported once.
        self._reported: set[int | None] = set()

    def announce(self, found: Iterable[Announcement]) -> None:
        """Announces soon, and twice more; never blocks. One in progress starts again."""
        with self._changed:
            fresh = set(found)
            if not fresh or self._closed:
                return
            if not fresh.isdisjoint(one for _, _, one in self._due):
                self._due = [entry for entry in self._due if entry[2] not in fresh]
                heapq.heapify(self._due)
            now = time.monotonic()
            for one in sorted(fresh):
                heapq.heappush(self._due, (now, 0, one))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="netd-announce", daemon=True)
                self._thread.start()
            self._changed.notify()

    def finish(self) -> None:
        """Sends the rest without pauses, and returns when it is sent."""
        with self._changed:
            self._hurry = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Stops; the rest is not sent."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        # A thread that starts while its parent is in a namespace would keep that namespace alive.
        at_home(self._home.descriptor)
        unclosed = threading.BoundedSemaphore(UNCLOSED)
        with ThreadPoolExecutor(
            CLOSERS, "netd-announce-close", initializer=at_home, initargs=(self._home.descriptor,)
        ) as pool:
            while batch := self._next():
                by_namespace: dict[str, list[Announcement]] = {}
                for one in batch:
                    by_namespace.setdefault(one.netns, []).append(one)
                for netns, found in by_namespace.items():
                    unclosed.acquire()
                    opened = self._send(netns, found)
                    pool.submit(close_all, opened).add_done_callback(lambda _: unclosed.release())

    def _next(self) -> Sequence[Announcement]:
        """Waits until some are due, and returns these; [] at the end."""
        with self._changed:
            while self._due:
                wait = self._due[0][0] - time.monotonic()
                if wait <= 0:
                    return self._take(time.monotonic())
                self._changed.wait(min(wait, AT_ONCE) if self._hurry else wait)
                if self._hurry:
                    self._due = [(0.0, count, one) for _, count, one in self._due]
            self._thread = None
            return ()

    def _take(self, now: float) -> Sequence[Announcement]:
        batch = []
        while self._due and self._due[0][0] <= now:
            _, count, one = heapq.heappop(self._due)
            batch.append(one)
            if count < len(AGAIN):
                again = now + (AT_ONCE if self._hurry else AGAIN[count])
                heapq.heappush(self._due, (max(again, now + 1e-9), count + 1, one))
        return batch

    def _send(self, netns: str, found: Sequence[Announcement]) -> Sequence[socket.socket]:
        """Sends the announcements of one namespace once; returns the sockets to close."""
        try:
            descriptor = self._descriptor(netns)
        except (KernelError, OSError):
            return ()  # the namespace is gone
        opened: list[socket.socket] = []
        try:
            enter(descriptor)
            try:
                for one in found:
                    self._send_one(one, opened)
            finally:
                enter(self._home.descriptor)
        except OSError as error:
            if error.errno not in GONE and error.errno not in self._reported:
                self._reported.add(error.errno)
                self._report(f"an address in {netns or 'the host'} cannot be announced: {error.strerror}")
        finally:
            os.close(descriptor)
        return opened

    def _send_one(self, one: Announcement, opened: list[socket.socket]) -> None:
        """Within the namespace. ``opened``: the packet socket, created when it is needed first."""
        if not opened:
            opened.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0))
        packets = opened[0]
        mac = ethernet(packets, one.link)
        if mac is None:
            return
        try:
            if ":" not in one.address:
                packets.sendto(frames.arp(mac, one.address, one.address), (one.link, frames.ETH_P_ARP))
            else:
                advertise(one, mac)
        except OSError as error:
            if error.errno not in GONE:
                raise


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Closes sockets, which takes about 8 ms each."""
    for sock in sockets:
        sock.close()


def ethernet(sock: socket.socket, link: str) -> bytes | None:
    """The MAC of a link that is up and resolves addresses; None for any other, or a deleted one."""
    request = struct.pack("16s24x", link.encode())
    try:
        (flags,) = struct.unpack_from("=H", fcntl.ioctl(sock, SIOCGIFFLAGS, request), 16)
        kind, mac = struct.unpack_from("=H6s", fcntl.ioctl(sock, SIOCGIFHWADDR, request), 16)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    if kind != ARPHRD_ETHER or not flags & IFF_UP or flags & (IFF_LOOPBACK | IFF_NOARP):
        return None
    return bytes(mac)


def advertise(one: Announcement, mac: bytes) -> None:
    """Sends from the address itself to all nodes of the link; OSError EADDRNOTAVAIL if it is not usable."""
    index = socket.if_nametoindex(one.link)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        sock.bind((one.address, 0, 0, index))
        packet = frames.neighbor_advertisement(mac, one.address, router=is_router(one.link))
        sock.sendto(packet, ("ff02::1", 0, 0, index))


def is_router(link: str) -> bool:
    """Whether this machine forwards packets from the link."""
    try:
        with open(FORWARDING.format(link), encoding="ascii") as file:
            return file.read(1) == "1"
    except OSError:
        return False


def at_home(descriptor: int) -> None:
    """Enters the namespace of this process; it is in no other where it may not (without CAP_SYS_ADMIN)."""
    with contextlib.suppress(OSError):
        enter(descriptor)
