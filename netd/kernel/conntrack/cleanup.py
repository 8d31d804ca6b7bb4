"""Deletes stale connections from the conntrack table, in its own thread: a large table takes seconds to read.

An established TCP connection is kept for as long as its target answers: another target would reset it. If the target
does not answer, the entry is deleted: the new target resets the connection, so the client can reconnect.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import NamedTuple

from netd.errors import Changed, KernelError
from netd.kernel.announce import probe
from netd.kernel.netns.setns import HomeNamespace, enter
from netd.kernel.rtnl import decode, wire
from netd.kernel.rtnl.netlink_socket import Rtnl
from netd.kernel.rtnl.wire import Request
from netd.model.flows import Flow, Stale, Translation
from netd.model.state import IFA_F_SECONDARY, Address, attributes

from . import table

#: Seconds until a target that still answers is checked again: at first, and at most.
AGAIN, SELDOM = 1.0, 64.0
#: The most ports that are requested one by one: the kernel walks its table for each.
FEW = 4
#: struct rtmsg.
RTMSG = struct.Struct("=BBBBBBBBI")


@dataclass(slots=True)
class Job:
    """One namespace: its translations, the time of the next check, and the pause after it."""

    entries: Sequence[Translation]
    due: float
    wait: float = AGAIN


class FlowCleanup:
    """``descriptor`` opens a namespace by its name (KernelError where it is not there); ``report`` is called with what
    could not be read or deleted."""

    def __init__(self, home: HomeNamespace, descriptor: Callable[[str], int], report: Callable[[str], None]) -> None:
        self._home = home
        self._descriptor = descriptor
        self._report = report
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ending = False

    def start(self, netns: str, entries: Sequence[Translation]) -> None:
        """Checks a namespace soon; never blocks."""
        with self._changed:
            self._jobs[netns] = Job(entries, time.monotonic())
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="netd-flows", daemon=True)
                self._thread.start()
            self._changed.notify()

    def finish(self) -> None:
        """Returns when everything was checked once."""
        with self._changed:
            self._ending = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            netns, job = due
            left = 0
            try:
                left = self._look(netns, job.entries)
            except (KernelError, OSError, ValueError) as error:
                where = f"namespace {netns}" if netns else "the host"
                self._report(
                    f"connections from before address translation changed in {where} may keep the old rules: {error}"
                )
            with self._changed:
                if self._jobs.get(netns) is not job:
                    continue  # it has changed again meanwhile
                if left and not self._ending:
                    job.due, job.wait = time.monotonic() + job.wait, min(2 * job.wait, SELDOM)
                else:
                    del self._jobs[netns]

    def _next(self) -> tuple[str, Job] | None:
        """Waits until a namespace is due, and returns it; None when none is left."""
        with self._changed:
            while self._jobs:
                netns, job = min(self._jobs.items(), key=lambda one: one[1].due)
                wait = job.due - time.monotonic()
                if wait <= 0:
                    return netns, job
                if self._ending:
                    break
                self._changed.wait(wait)
            self._thread = None
            return None

    def _look(self, netns: str, entries: Sequence[Translation]) -> int:
        """The number of connections that keep a target that still answers."""
        try:
            descriptor = self._descriptor(netns)
        except Changed:
            return 0  # the namespace was deleted, and its connections with it
        try:
            enter(descriptor)
            return clean(entries)
        finally:
            with contextlib.suppress(OSError):
                enter(self._home.descriptor)
            os.close(descriptor)


def clean(entries: Sequence[Translation]) -> int:
    """In the calling thread's namespace; returns the number of stale connections that stay: their target answers.

    KernelError, OSError.
    """
    rtnl = Rtnl()
    try:
        with table.open_socket() as sock:
            addresses = read_addresses(rtnl)
            local = {one.address.partition("/")[0] for one in addresses}
            stale = Stale(entries, local, functools.cache(lambda to: leaves_by(rtnl, to, addresses)))
            found = [flow for flow in _concerned(sock, entries) if stale(flow)]
            there = functools.cache(lambda to: _there(rtnl, to))
            kept = [flow for flow in found if flow.established and not stale.address_gone(flow) and there(flow.to)]
            staying = set(map(id, kept))
            table.delete(sock, [flow for flow in found if id(flow) not in staying])
            return len(kept)
    finally:
        rtnl.close()


def _concerned(sock: socket.socket, entries: Sequence[Translation]) -> Sequence[Flow]:
    """The connections that a changed entry may concern: read port by port, if the kernel can filter them."""
    changed = [one for one in entries if one.changed]
    single = [one for one in changed if one.type == "dnat" and one.ports[0] == one.ports[1]]
    if single != changed:
        return list(table.read(sock))
    chosen = dict.fromkeys((one.family, one.protocol, one.ports[0]) for one in single)
    if len(chosen) > FEW:
        return list(table.read(sock))
    return [flow for one in chosen for flow in table.read(sock, *one)]


def read_addresses(rtnl: Rtnl) -> list[Address]:
    """All addresses of the namespace, in the kernel's order."""
    bodies = rtnl.dump(wire.RTM_GETADDR, struct.pack("=BBBBI", socket.AF_UNSPEC, 0, 0, 0, 0))
    return [found for body in bodies if (found := decode.address(body)) is not None]


class Way(NamedTuple):
    """The route to an address: ``link`` is "" if there is none, ``gateway`` is "" if none is needed."""

    oif: int
    link: str
    gateway: str
    source: str
    type: str


def way_to(rtnl: Rtnl, address: str) -> Way | None:
    """The kernel's route for a packet to this address; None if it has none."""
    packed, length = wire.split_cidr(address)
    body = RTMSG.pack(wire.family_of(address), length, 0, 0, 0, 0, 0, 0, 0) + wire.attribute(wire.RTA_DST, packed)
    error, replies = rtnl.request([Request(wire.RTM_GETROUTE, 0, body)])[0]
    if error is not None or not replies:
        return None
    found = attributes(replies[0][RTMSG.size :])
    index = decode.number(found.get(wire.RTA_OIF))
    try:
        link = socket.if_indextoname(index)
    except OSError:
        link = ""
    gateway, source = decode.ip(found.get(wire.RTA_GATEWAY)), decode.ip(found.get(wire.RTA_PREFSRC))
    return Way(index, link, gateway, source, wire.ROUTE_TYPES.get(replies[0][7], ""))


def leaves_by(rtnl: Rtnl, to: str, addresses: Sequence[Address]) -> tuple[str, tuple[str, ...]]:
    """The link by which packets to an address leave, "" for none; and the source addresses of masquerading.

    The kernel takes the link's first address of the next hop's network, else its first (inet_select_addr() in
    net/ipv4/devinet.c). It is also that of the route, unless the route has another ``src``.
    """
    way = way_to(rtnl, to)
    if way is None or way.type != "unicast":
        return "", ()
    primary = [
        ip_interface(one.address)
        for one in addresses
        if one.index == way.oif and ":" not in one.address and not one.flags & IFA_F_SECONDARY
    ]
    hop = ip_address(way.gateway or to)
    chosen = [str(one.ip) for one in primary if hop in one.network] or [str(one.ip) for one in primary]
    return way.link, (way.source, *chosen[:1])


def _there(rtnl: Rtnl, address: str) -> bool:
    """Whether a target answers; one behind a gateway cannot be checked, and counts as answering."""
    way = way_to(rtnl, address)
    if way is None or way.type in wire.DEAD_ENDS:
        return False
    if way.type != "unicast" or not way.link or way.gateway:
        return True
    return probe.answers(way.link, way.source, address)
