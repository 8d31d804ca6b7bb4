"""One open namespace: what is read there, and the socket through which operations are executed there.

The request socket is made in the namespace and used from outside; it is closed at the end, because it keeps the
namespace alive. Everything is synchronous, on one thread: no await may come between.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from netd.errors import KernelError
from netd.model.state import (
    NTF_PROXY,
    NTF_SELF,
    NUD_PERMANENT,
    Address,
    FdbEntry,
    Link,
    Neighbor,
    PolicyRule,
    PortVlan,
    Qdisc,
    Route,
)
from netd.model.wireguard import WireguardDevice

from . import etc_files
from .descriptors import high
from .netns.setns import HomeNamespace
from .rtnl import decode, wire
from .rtnl.encode import ndmsg, rtmsg, tcmsg
from .rtnl.encode_link import ifinfomsg
from .rtnl.netlink_socket import Rtnl
from .rtnl.nsid import read_nsid
from .rtnl.wire import Request
from .sysctl.files import SysctlDirectories, Sysctls
from .wireguard import device as wireguard

Answer = KernelError | Link | None
Value = TypeVar("Value")
FAMILIES = (socket.AF_INET, socket.AF_INET6)
#: From this number on descriptors are moved up, so that low numbers stay free.
CROWDED = 400
NO_STATISTICS = wire.u32(wire.IFLA_EXT_MASK, wire.RTEXT_FILTER_SKIP_STATS)


class SessionOwner(Protocol):
    """What a session needs of the kernel that opened it. ``home`` is the namespace to return to."""

    home: HomeNamespace
    directories: SysctlDirectories

    def descriptor(self, netns: str) -> int:
        """A descriptor of a namespace, to be closed at once after use; KernelError ENOENT where it is not there."""

    def read_entries(self, netns: str, index: int, what: str, found: set[str]) -> None:
        """These addresses of neighbors, or MACs of fdb entries, were read on the link of that index."""

    def watch_sysctl(self, session: Session, path: str) -> None:
        """A write to that key by user space is reported from now on."""

    def watch_file(self, path: str) -> None:
        """A change of a file below /etc/netns is reported from now on."""


class Session:
    """Made by ``Kernel.open``. ``descriptor`` is the namespace's, None for the host."""

    def __init__(self, kernel: SessionOwner, netns: str, descriptor: int | None) -> None:
        self.kernel = kernel
        self.netns = netns
        self.descriptor = descriptor if descriptor is None or descriptor < CROWDED else high(descriptor)
        try:
            self.rtnl = self.inside(Rtnl)
        except OSError:
            if self.descriptor is not None:
                os.close(self.descriptor)
            raise
        if self.descriptor is not None and self.descriptor >= CROWDED:
            self.rtnl.socket = socket.socket(fileno=high(self.rtnl.socket.detach()))
        self._sysctls: Sysctls | None = None

    def close(self) -> None:
        """Closes what keeps the namespace alive."""
        self.rtnl.close()
        if self.descriptor is not None:
            os.close(self.descriptor)

    def inside(self, action: Callable[[], Value]) -> Value:
        """Calls ``action`` in the namespace."""
        if self.descriptor is None:
            return action()
        with self.kernel.home.inside(self.descriptor):
            return action()

    @property
    def sysctls(self) -> Sysctls:
        """The keys of this namespace."""
        if self._sysctls is None:
            self._sysctls = Sysctls(self.rtnl.cookie(), self.kernel.directories, self.inside)
        return self._sysctls

    def links(self) -> list[Link]:
        """All links."""
        bodies = self.rtnl.dump(wire.RTM_GETLINK, ifinfomsg() + NO_STATISTICS)
        return [link for body in bodies if (link := decode.link(body)) is not None]

    def link(self, index: int) -> Link | None:
        """The link of that index."""
        return self._one_link(ifinfomsg(index) + NO_STATISTICS) if index > 0 else None

    def links_at(self, indexes: Collection[int]) -> dict[int, Link]:
        """Those of these links that are there. Each is asked for, in one send: what others there are costs nothing."""
        requests = [Request(wire.RTM_GETLINK, 0, ifinfomsg(index) + NO_STATISTICS) for index in indexes if index > 0]
        replies = (reply for error, found in self.rtnl.request(requests) if error is None for reply in found)
        return {link.index: link for reply in replies if (link := decode.link(reply)) is not None}

    def link_named(self, name: str) -> Link | None:
        """The link of that name (an alternative name is not one)."""
        encoded = name.encode(errors="replace")
        if not 0 < len(encoded) < 16:
            return None
        found = self._one_link(ifinfomsg() + wire.text(wire.IFLA_IFNAME, name) + NO_STATISTICS)
        return found if found is not None and found.name == name else None

    def _one_link(self, body: bytes) -> Link | None:
        reply = self.rtnl.get(Request(wire.RTM_GETLINK, 0, body))
        return None if reply is None else decode.link(reply)

    def addresses(self, index: int = 0) -> list[Address]:
        """The addresses of one link, or of all (0)."""
        bodies = self.rtnl.dump(wire.RTM_GETADDR, struct.pack("=BBBBI", socket.AF_UNSPEC, 0, 0, 0, index))
        found = [address for body in bodies if (address := decode.address(body)) is not None]
        return [address for address in found if index in (0, address.index)]

    def connected(self, index: int, family: int, table: int = wire.RT_TABLE_MAIN) -> list[Route]:
        """The routes that the kernel made for the addresses of one link, or of all (0), of one family, in one table."""
        head = rtmsg(family, wire.RTPROT_KERNEL)
        head += wire.u32(wire.RTA_TABLE, table) + (wire.u32(wire.RTA_OIF, index) if index else b"")
        found = [route for body in self.rtnl.dump(wire.RTM_GETROUTE, head) if (route := decode.route(body))]
        return [one for one in found if one.protocol == wire.RTPROT_KERNEL and one.table == table]

    def routes(self, table: int, *families: int) -> list[Route]:
        """One table of these families (none: both); a dump of IPv6 that repeats itself is made unique."""
        found: dict[bytes, Route] = {}
        for family in families or FAMILIES:
            head = rtmsg(family) + wire.u32(wire.RTA_TABLE, table)
            for body in self.rtnl.dump(wire.RTM_GETROUTE, head):
                route = decode.route(body)
                if route is not None and route.table == table and route.family == family:
                    found[route.raw] = route
        return list(found.values())

    def all_routes(self) -> list[Route]:
        """The routes of all tables and both families; one that a dump repeats is made unique."""
        bodies = [body for family in FAMILIES for body in self.rtnl.dump(wire.RTM_GETROUTE, rtmsg(family))]
        return list({one.raw: one for body in bodies if (one := decode.route(body)) is not None}.values())

    def routes_to(self, table: int, to: str) -> list[Route]:
        """The routes of one table to one network; of all others there, most are not even looked at."""
        family, needle = wire.family_of(to), route_needle(table, to)
        head = rtmsg(family) + wire.u32(wire.RTA_TABLE, table)
        decoded = [decode.route(body) for body in self.rtnl.dump(wire.RTM_GETROUTE, head, needle)]
        found = {one.raw: one for one in decoded if one is not None and (one.table, one.to) == (table, to)}
        return list(found.values())

    def routes_of(self, protocol: int) -> list[Route]:
        """The routes of all tables and both families with that mark."""
        bodies = [body for family in FAMILIES for body in self.rtnl.dump(wire.RTM_GETROUTE, rtmsg(family, protocol))]
        decoded = {one.raw: one for body in bodies if (one := decode.route(body)) is not None}
        return [one for one in decoded.values() if one.protocol == protocol]

    def rules(self) -> list[PolicyRule]:
        """The rules of both families."""
        bodies = self.rtnl.dump(wire.RTM_GETRULE, struct.pack("=BBBBBxxBI", socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0))
        return [rule for body in bodies if (rule := decode.rule(body)) is not None]

    def neighbors(self, index: int) -> list[Neighbor]:
        """The permanent entries of one link."""
        found = [one for one in self._neighbors(index, socket.AF_UNSPEC) if one.state & NUD_PERMANENT]
        self.kernel.read_entries(self.netns, index, "neighbors", {one.address for one in found})
        return found

    def kept_neighbors(self, index: int, family: int = socket.AF_UNSPEC) -> list[Neighbor]:
        """The permanent entries of one link, and those that it answers on behalf of other hosts (proxies)."""
        permanent = [one for one in self._neighbors(index, family) if one.state & NUD_PERMANENT]
        return permanent + self.proxies(index, family)

    def proxies(self, index: int, family: int = socket.AF_UNSPEC) -> list[Neighbor]:
        """The addresses that one link answers for."""
        return self._neighbors(index, family, NTF_PROXY)

    def _neighbors(self, index: int, family: int, flags: int = 0) -> list[Neighbor]:
        head = ndmsg(family, flags=flags) + wire.u32(wire.NDA_IFINDEX, index)
        decoded = [decode.neighbor(body) for body in self.rtnl.dump(wire.RTM_GETNEIGH, head)]
        return [one for one in decoded if one is not None and one.index == index]

    def routes_through(self, index: int, *families: int) -> list[Route]:
        """The routes of all tables, of these families (none: both), with a hop on this link, but the kernel's own."""
        chosen = wire.u32(wire.RTA_OIF, index)
        heads = [rtmsg(family) + chosen for family in families or FAMILIES]
        bodies = [body for head in heads for body in self.rtnl.dump(wire.RTM_GETROUTE, head)]
        decoded = {route.raw: route for body in bodies if (route := decode.route(body)) is not None}
        return [one for one in decoded.values() if leaves_by(one, index)]

    def fdb(self, index: int) -> list[FdbEntry]:
        """The static entries with a remote in a vxlan's own table."""
        body = ndmsg(wire.AF_BRIDGE) + wire.u32(wire.NDA_IFINDEX, index)
        decoded = [decode.fdb(reply) for reply in self.rtnl.dump(wire.RTM_GETNEIGH, body)]
        static = NUD_PERMANENT | wire.NUD_NOARP
        found = [
            one
            for one in decoded
            if one is not None and one.index == index and one.dst and one.flags & NTF_SELF and one.state & static
        ]
        self.kernel.read_entries(self.netns, index, "fdb", {one.mac for one in found})
        return found

    def vlans(self, index: int) -> dict[int, PortVlan]:
        """The VLANs of one port, or of a bridge itself.

        With statistics, each is a message of its own: without, the kernel tells nothing of those that follow the PVID
        and leave as that does (br_vlan_dump_dev() makes a range of them, which br_vlan_fill_vids() then leaves out).
        """
        head = struct.pack("=BxxxI", wire.AF_BRIDGE, index) + wire.u32(wire.VLANDB_DUMP_FLAGS, wire.DUMP_STATISTICS)
        bodies = self.rtnl.dump(wire.RTM_GETVLAN, head)
        return {vlan: one for body in bodies for vlan, one in decode.vlans(body, index)}

    def vnis(self, index: int) -> set[int]:
        """The VNIs that a vxlan with a filter takes."""
        bodies = self.rtnl.dump(wire.RTM_GETTUNNEL, struct.pack("=BxxxI", wire.AF_BRIDGE, index))
        return {vni for body in bodies for vni in decode.vnis(body, index)}

    def qdiscs(self) -> list[Qdisc]:
        """The roots that somebody chose, of all links."""
        decoded = [decode.qdisc(body) for body in self.rtnl.dump(wire.RTM_GETQDISC, tcmsg())]
        return [one for one in decoded if one is not None]

    def wireguard(self, index: int) -> WireguardDevice | None:
        """The settings of a WireGuard device."""
        return self.inside(lambda: wireguard.read(index))

    def sysctl(self, path: str) -> str | None:
        """The value of a key below /proc/sys; None where there is none."""
        try:
            return self.sysctls.read(path)
        except OSError:
            return None

    def file(self, path: str) -> str | None:
        """The content of a file below /etc/netns."""
        return etc_files.read(path)

    def files(self) -> list[str]:
        """The files below /etc/netns that netd could have written."""
        return etc_files.paths()

    def watch_file(self, path: str) -> None:
        """A change of it is reported from now on."""
        self.kernel.watch_file(path)

    def watch_sysctl(self, path: str) -> None:
        """A write to that key by user space is reported from now on; ignored where there is no such key."""
        self.kernel.watch_sysctl(self, path)

    def nsid(self, other: str) -> int | None:
        """The number that this namespace knows another by (IFLA_LINK_NETNSID on its links); None: none assigned."""
        try:
            descriptor = self.kernel.descriptor(other)
        except KernelError:
            return None
        try:
            return read_nsid(self.rtnl, descriptor)
        finally:
            os.close(descriptor)


def route_needle(table: int, to: str) -> bytes:
    """Bytes that are in the message of each route to that network: of the default route its header, else RTA_DST."""
    network = ipaddress.ip_network(to)
    address: bytes = network.network_address.packed
    if network.prefixlen:
        return struct.pack("=HH", 4 + len(address), wire.RTA_DST) + address
    return struct.pack("=BBBBB", wire.family_of(to), 0, 0, 0, table if table < 256 else wire.RT_TABLE_COMPAT)


def leaves_by(route: Route, index: int) -> bool:
    """Whether a hop of it is on this link, and it is not the kernel's own."""
    return route.protocol != wire.RTPROT_KERNEL and index in [hop.index for hop in route.nexthops]
