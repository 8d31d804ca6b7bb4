"""Changes in all namespaces: one socket of rtnetlink and one of nftables, with an nsid on each message.

An event carries no state; it names what is to be read again. Each watched namespace is given a number
(``FIRST_NSID`` upwards, never used twice); messages with other numbers are dropped before decoding. A socket that
overran fails once with ENOBUFS: then everything must be read again, and later events arrive.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Container, Iterator, Set
from pathlib import Path

from netd.errors import kernel_error
from netd.model.invalidation import ANY_ROUTE, EVERYTHING, Invalidation, route_name
from netd.model.marks import FIRST_NSID
from netd.model.state import IFF_UP, NTF_SELF, NUD_PERMANENT, attributes

from .rtnl import decode, wire
from .rtnl.netlink_socket import Rtnl
from .rtnl.nsid import read_nsid
from .rtnl.recvmmsg import MANY, Receiver
from .rtnl.wire import Request

#: RTNLGRP_*: link, neigh, tc, VLANs of bridges, ipv4 and ipv6 address, route and rule, netconf, nsid.
GROUPS = (1, 3, 4, 5, 7, 8, 9, 11, 19, 24, 25, 28, 33)
#: Those that older kernels do not have: tunnels.
NEW_GROUPS = (35,)
NETLINK_NETFILTER, NFNLGRP_NFTABLES = 12, 7
NFT_NEWGEN = 10 << 8 | 15
NFTA_GEN_PROC_PID, NFTA_GEN_PROC_NAME = 2, 3
BUFFER = 64 << 20
#: The listener's own namespace: its messages come without a number.
HERE = -1
STATIC = NUD_PERMANENT | wire.NUD_NOARP

ADDRESS_KINDS = frozenset({wire.RTM_NEWADDR, wire.RTM_DELADDR})
ROUTE_KINDS = frozenset({wire.RTM_NEWROUTE, wire.RTM_DELROUTE})
RULE_KINDS = frozenset({wire.RTM_NEWRULE, wire.RTM_DELRULE})
NEIGHBOR_KINDS = frozenset({wire.RTM_NEWNEIGH, wire.RTM_DELNEIGH})
QDISC_KINDS = frozenset({wire.RTM_NEWQDISC, wire.RTM_DELQDISC})
VLAN_KINDS = frozenset({wire.RTM_NEWVLAN, wire.RTM_DELVLAN})
TUNNEL_KINDS = frozenset({wire.RTM_NEWTUNNEL, wire.RTM_DELTUNNEL})
NETCONF_KINDS = frozenset({wire.RTM_NEWNETCONF, wire.RTM_DELNETCONF})

#: (what, netns, index) -> the addresses or MACs that were read there last.
Known = Callable[[str, str, int], Set[str]]
#: (netns, family) -> names of the routes that were read there.
Followed = Callable[[str, int], Set[str]]


class Events:
    """Both sockets, and the number of each namespace.

    ``known`` says which neighbors are relevant; ``home`` is a descriptor of the listener's own namespace.
    """

    def __init__(self, known: Known, followed: Followed, home: int, buffer: int = BUFFER) -> None:
        self._rtnl = listening(socket.NETLINK_ROUTE, GROUPS, buffer)
        self._nft = listening(NETLINK_NETFILTER, (NFNLGRP_NFTABLES,), buffer)
        self._requests = Rtnl()
        self._known = known
        self._followed = followed
        self._home = home
        self._names: dict[int, tuple[str, ...]] = {HERE: ("",)}
        self._numbers: dict[str, int] = {}
        self._next = self._first_free()
        # A namespace can have a number for itself; its messages carry it then.
        self._here = read_nsid(self._requests, home)
        self._receiver = Receiver()
        #: The process behind the last change of nftables, by namespace; netd's own do not count.
        self.last_nft_culprit: dict[str, str] = {}
        self._own_name = Path("/proc/self/comm").read_text().strip()

    def descriptors(self) -> list[int]:
        """For the event loop."""
        return [one.fileno() for one in (self._rtnl, self._nft) if one is not None]

    def close(self) -> None:
        """Stops listening."""
        for one in (self._rtnl, self._nft):
            if one is not None:
                one.close()
        self._requests.close()

    def _first_free(self) -> int:
        """Above all numbers that an earlier daemon gave: they stay with their namespaces."""
        bodies = self._requests.dump(wire.RTM_GETNSID, bytes(4))
        used = [decode.number(attributes(body[4:]).get(wire.NETNSA_NSID)) for body in bodies]
        return max([FIRST_NSID, *(number + 1 for number in used if FIRST_NSID <= number < 1 << 30)])

    def assign(self, netns: str, descriptor: int, here: bool) -> None:
        """From now on, changes there are reported under that name. ``here``: it is the listener's own namespace."""
        self.release(netns)
        number = HERE if here else self._number(descriptor)
        self._names[number] = (*self._names.get(number, ()), netns)
        self._numbers[netns] = number

    def _number(self, descriptor: int) -> int:
        """The number of a namespace; it is given one where it has none."""
        for _ in range(1000):
            found = read_nsid(self._requests, descriptor)
            if found is not None:
                return found
            body = bytes(4) + wire.u32(wire.NETNSA_NSID, self._next) + wire.u32(wire.NETNSA_FD, descriptor)
            error, _ = self._requests.request([Request(wire.RTM_NEWNSID, 0, body)])[0]
            self._next += 1
            if error is None:
                return self._next - 1
            if error.code != errno.EEXIST:
                raise error
        raise kernel_error(errno.ENOSPC, "no number for a namespace (nsid) is free")

    def release(self, netns: str) -> None:
        """Changes are no longer reported under that name."""
        number = self._numbers.pop(netns, None)
        if number is None:
            return
        left = tuple(name for name in self._names.get(number, ()) if name != netns)
        if left:
            self._names[number] = left
        else:
            self._names.pop(number, None)

    def assigned(self, netns: str) -> bool:
        """Whether its changes are reported."""
        return netns in self._numbers

    def drain(self, ready: Container[int]) -> Iterator[Invalidation]:
        """What is to be read again, by all that is queued on the ``ready`` descriptors."""
        for one, read in ((self._rtnl, self._from_rtnl), (self._nft, self._from_nft)):
            if one is None or one.fileno() not in ready:
                continue
            said: set[tuple[int, bytes]] = set()
            count = MANY
            while count == MANY:
                try:
                    count = self._receiver.receive(one.fileno())
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in (errno.ENOBUFS, errno.EINTR):
                        yield EVERYTHING
                        continue
                    raise kernel_error(error.errno or errno.EIO, "listening to the kernel") from None
                for number, data in self._receiver.messages(count, HERE, said):
                    names = self._names.get(HERE if number == self._here else number)
                    if names is not None:
                        yield from read(data, names)

    def _from_rtnl(self, data: memoryview, names: tuple[str, ...]) -> Iterator[Invalidation]:
        at, end = 0, len(data)
        while at + 16 <= end:
            length, kind = struct.unpack_from("=IH", data, at)
            if length < 16 or at + length > end:
                return
            body = data[at + 16 : at + length]
            if kind in (wire.RTM_DELNSID, wire.RTM_NEWNSID):
                yield from self._number_changed(kind, bytes(body))
            else:
                for netns in names:
                    yield from self._changed(kind, body, netns)
            at += (length + 3) & ~3

    def _number_changed(self, kind: int, body: bytes) -> Iterator[Invalidation]:
        """A namespace was deleted (and its last descriptor closed), or one was given a number."""
        self._here = read_nsid(self._requests, self._home)
        payload = attributes(body[4:]).get(wire.NETNSA_NSID)
        if kind != wire.RTM_DELNSID or payload is None:
            return
        for netns in self._names.pop(decode.number(payload), ()):
            self._numbers.pop(netns, None)
            yield Invalidation("namespace", netns)

    def _changed(self, kind: int, body: memoryview, netns: str) -> Iterator[Invalidation]:
        """What is to be read again after one message."""
        if kind in (wire.RTM_NEWLINK, wire.RTM_DELLINK) and len(body) >= 16:
            yield from link_changed(kind, body, netns)
        elif kind in ADDRESS_KINDS and len(body) >= 8:
            yield Invalidation("addresses", netns, struct.unpack_from("=I", body, 4)[0])
            if kind == wire.RTM_DELADDR:
                # The kernel deletes routes with the last address of a link, without an event for each.
                yield Invalidation("routes", netns, family=body[0])
        elif kind in ROUTE_KINDS and len(body) >= 12:
            table, protocol, flags = body[4], body[5], struct.unpack_from("=I", body, 8)[0]
            own = table == wire.RT_TABLE_LOCAL and protocol == wire.RTPROT_KERNEL
            if not own and not flags & wire.RTM_F_CLONED:
                yield from self._route_changed(bytes(body), netns)
                if kind == wire.RTM_DELROUTE and protocol == wire.RTPROT_KERNEL:
                    # The route of an address to its own network: it is compared with the address.
                    link = attributes(bytes(body[12:])).get(wire.RTA_OIF)
                    yield Invalidation("addresses", netns, decode.number(link) if link else 0)
        elif kind in RULE_KINDS:
            yield Invalidation("rules", netns)
        elif kind in NEIGHBOR_KINDS and len(body) >= 12:
            yield from self._neighbor_changed(bytes(body), netns)
        elif kind in QDISC_KINDS and len(body) >= 20:
            index, parent = struct.unpack_from("=xxxxixxxxI", body)
            if parent == wire.TC_H_ROOT:
                yield Invalidation("qdisc", netns, index)
        elif kind in VLAN_KINDS and len(body) >= 8:
            yield Invalidation("vlans", netns, struct.unpack_from("=xxxxI", body)[0])
        elif kind in TUNNEL_KINDS and len(body) >= 8:
            yield Invalidation("vnis", netns, struct.unpack_from("=xxxxI", body)[0])
        elif kind in NETCONF_KINDS:
            yield Invalidation("sysctl", netns)

    def _route_changed(self, body: bytes, netns: str) -> Iterator[Invalidation]:
        """The one that it names, where anyone has asked for it: a routing daemon changes thousands of others.

        By the kernel's own, of addresses, it may lie whether others can be made at all.
        """
        route, followed = decode.route(body), self._followed(netns, body[0])
        if ANY_ROUTE in followed or body[5] == wire.RTPROT_KERNEL:
            yield Invalidation("routes", netns, family=body[0])
        elif route is not None and (name := route_name(route.table, route.to, route.metric)) in followed:
            yield Invalidation("routes", netns, path=name, family=body[0])

    def _neighbor_changed(self, body: bytes, netns: str) -> Iterator[Invalidation]:
        """Static entries, and what replaces an entry that was read; the rest is ARP and learning."""
        family, index, state, flags = struct.unpack_from("=BxxxiHB", body)
        found = attributes(body[12:])
        if family == wire.AF_BRIDGE:
            known = decode.mac(found.get(wire.NDA_LLADDR)) in self._known("fdb", netns, index)
            if flags & NTF_SELF and (known or state & STATIC):
                yield Invalidation("fdb", netns, index)
        elif state & NUD_PERMANENT or decode.ip(found.get(wire.NDA_DST)) in self._known("neighbors", netns, index):
            yield Invalidation("neighbors", netns, index)

    def _from_nft(self, data: memoryview, names: tuple[str, ...]) -> Iterator[Invalidation]:
        """Only the end of a transaction is evaluated: it names the process."""
        at, end = 0, len(data)
        while at + 20 <= end:
            length, kind, _, _, portid = struct.unpack_from("=IHHII", data, at)
            if length < 20 or at + length > end:
                return
            if kind == NFT_NEWGEN:
                found = attributes(bytes(data[at + 20 : at + length]))
                process = int.from_bytes(found.get(NFTA_GEN_PROC_PID, b""), "big")
                name = decode.string(found.get(NFTA_GEN_PROC_NAME))
                # In a container the kernel knows this process by another number.
                own = os.getpid() in (portid, process) or name == self._own_name
                for netns in names:
                    if not own:
                        self.last_nft_culprit[netns] = name
                    yield Invalidation("nft", netns)
            at += (length + 3) & ~3


def link_changed(kind: int, body: memoryview, netns: str) -> Iterator[Invalidation]:
    """ifinfomsg: any family marks the link, only AF_UNSPEC says that it is gone or down."""
    family, index, flags = struct.unpack_from("=BxxxiI", body)
    yield Invalidation("link", netns, index)
    if family != socket.AF_UNSPEC:
        return
    if kind == wire.RTM_DELLINK:
        yield Invalidation("addresses", netns, index)
        yield Invalidation("routes", netns)
    elif not flags & IFF_UP:
        yield Invalidation("routes", netns)


def listening(protocol: int, groups: tuple[int, ...], buffer: int) -> socket.socket | None:
    """A socket for events of all namespaces with a number; None where the kernel has no such protocol (no nftables)."""
    try:
        one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    except OSError as error:
        if protocol == NETLINK_NETFILTER and error.errno == errno.EPROTONOSUPPORT:
            return None
        raise
    try:
        one.setsockopt(wire.SOL_NETLINK, wire.NETLINK_LISTEN_ALL_NSID, 1)
        one.setsockopt(socket.SOL_SOCKET, wire.SO_RCVBUFFORCE, buffer)
        one.bind((0, 0))
        for group in groups:
            one.setsockopt(wire.SOL_NETLINK, wire.NETLINK_ADD_MEMBERSHIP, group)
        for group in NEW_GROUPS if protocol == socket.NETLINK_ROUTE else ():
            with contextlib.suppress(OSError):
                one.setsockopt(wire.SOL_NETLINK, wire.NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        one.close()
        raise kernel_error(error.errno or errno.EPERM, "listening to all namespaces (CAP_NET_BROADCAST)") from None
    return one
