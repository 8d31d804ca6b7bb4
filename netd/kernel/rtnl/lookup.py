"""Questions about one packet, as ``ip route get``, ``ip neighbor get`` and ``bridge fdb get`` ask them: rtnetlink(7).

The kernel decides as it would for the packet; nothing is sent, and nothing changes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from netd.errors import KernelError
from netd.model.state import NUD_PERMANENT, Neighbor, Nexthop, attributes

from . import decode, wire
from .encode import ndmsg
from .netlink_socket import Rtnl
from .wire import Request

RTA_SRC, RTA_IIF, RTA_MARK, RTA_IP_PROTO, RTA_SPORT, RTA_DPORT = 2, 3, 16, 27, 28, 29
#: The only protocols that the kernel takes in such a question: ICMP, TCP, UDP, ICMPv6.
ROUTED_BY_PROTOCOL = frozenset({1, 6, 17, 58})
RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x1000, 0x2000
NDA_VLAN, NDA_MASTER = 5, 9
RTEXT_FILTER_BRVLAN, IFLA_BRIDGE_VLAN_INFO, VLAN_PVID, VLAN_UNTAGGED = 2, 2, 2, 4


class Flow(NamedTuple):
    """What routing may depend on. ``source``: "" where the kernel chooses; ``iif``: the index of the link that it came
    in by, 0 where it begins here; ``protocol``: a number; ``mark``: SO_MARK."""

    destination: str
    source: str = ""
    iif: int = 0
    oif: int = 0
    mark: int = 0
    protocol: int = 0
    source_port: int = 0
    port: int = 0


class Found(NamedTuple):
    """A route for one packet: ``type`` (unicast, local, ...), ``to`` is the network of the route that matched."""

    type: str
    to: str
    table: int
    hop: Nexthop
    source: str
    mtu: int


def route_for(rtnl: Rtnl, flow: Flow) -> Found:
    """What the kernel does with such a packet; KernelError with its reason: EXDEV (reverse path), ENETUNREACH, ..."""
    # IPv6 names the table without being asked, and refuses this flag.
    body = _get(rtnl, flow, 0 if ":" in flow.destination else RTM_F_LOOKUP_TABLE)
    found = attributes(body[12:])
    matched = decode.route(body)
    type_ = wire.ROUTE_TYPES.get(body[7], str(body[7]))
    metrics = attributes(found.get(wire.RTA_METRICS, b""))
    gateway = decode.ip(found.get(wire.RTA_GATEWAY)) or decode.ip(found.get(wire.RTA_VIA, b"")[2:])
    hop = Nexthop(gateway, decode.number(found.get(wire.RTA_OIF)))
    table = decode.number(found.get(wire.RTA_TABLE)) or body[4]
    source = decode.ip(found.get(wire.RTA_PREFSRC))
    mtu = decode.number(metrics.get(wire.RTAX_MTU))
    return Found(type_, matched.to if matched is not None else "", table, hop, source, mtu)


def matching_route(rtnl: Rtnl, flow: Flow) -> tuple[str, int, str]:
    """(network, table, type) of the route that matches; KernelError where there is none."""
    body = _get(rtnl, flow, RTM_F_FIB_MATCH)
    found = attributes(body[12:])
    network = decode.network(found.get(wire.RTA_DST), body[1], body[0])
    return network, decode.number(found.get(wire.RTA_TABLE)) or body[4], wire.ROUTE_TYPES.get(body[7], str(body[7]))


def _get(rtnl: Rtnl, flow: Flow, flags: int) -> bytes:
    family = wire.family_of(flow.destination)
    length = 32 if family == socket.AF_INET else 128
    body = struct.pack("=BBBBBBBBI", family, length, length if flow.source else 0, 0, 0, 0, 0, 0, flags)
    body += wire.attribute(wire.RTA_DST, wire.address_bytes(flow.destination))
    if flow.source:
        body += wire.attribute(RTA_SRC, wire.address_bytes(flow.source))
    for kind, value in ((RTA_IIF, flow.iif), (wire.RTA_OIF, flow.oif), (RTA_MARK, flow.mark)):
        body += wire.u32(kind, value) if value else b""
    if flow.protocol in ROUTED_BY_PROTOCOL:
        body += wire.u8(RTA_IP_PROTO, flow.protocol)
        for kind, port in ((RTA_SPORT, flow.source_port), (RTA_DPORT, flow.port)):
            body += wire.attribute(kind, struct.pack("!H", port)) if port else b""
    ((error, replies),) = rtnl.request([Request(wire.RTM_GETROUTE, 0, body)])
    if error is not None:
        raise error
    return replies[0]


def neighbor_for(rtnl: Rtnl, index: int, address: str) -> Neighbor | None:
    """The entry of a neighbor, in whatever state; None where there is none."""
    body = ndmsg(wire.family_of(address), index) + wire.attribute(wire.NDA_DST, wire.address_bytes(address))
    try:
        reply = rtnl.get(Request(wire.RTM_GETNEIGH, 0, body))
    except KernelError:
        return None
    return decode.neighbor(reply) if reply is not None else None


class Port(NamedTuple):
    """Where a bridge sends a frame: the index of a port. ``local``: it is for the bridge itself."""

    number: int
    local: bool


def fdb_for(rtnl: Rtnl, bridge: int, mac: str, vlan: int = 0) -> Port | None:
    """The entry of a bridge for that MAC; None: it is not known, and such frames are flooded."""
    body = ndmsg(wire.AF_BRIDGE) + wire.attribute(wire.NDA_LLADDR, wire.mac_bytes(mac))
    body += wire.u32(NDA_MASTER, bridge)
    if vlan:
        body += wire.attribute(NDA_VLAN, struct.pack("=H", vlan))
    try:
        reply = rtnl.get(Request(wire.RTM_GETNEIGH, 0, body))
    except KernelError:
        return None
    if reply is None or len(reply) < 12:
        return None
    index, state = struct.unpack_from("=iH", reply, 4)
    return Port(index, bool(state & NUD_PERMANENT))


def vxlan_remote(rtnl: Rtnl, index: int, mac: str) -> str:
    """The host that a vxlan sends frames for that MAC to; "": it is not known, and such frames go to all."""
    body = ndmsg(wire.AF_BRIDGE, index) + wire.attribute(wire.NDA_LLADDR, wire.mac_bytes(mac))
    body += wire.u32(wire.NDA_IFINDEX, index)
    try:
        reply = rtnl.get(Request(wire.RTM_GETNEIGH, 0, body))
    except KernelError:
        return ""
    return decode.ip(attributes(reply[12:]).get(wire.NDA_DST)) if reply is not None else ""


class PortVlan(NamedTuple):
    """One VLAN that a bridge's port (or the bridge itself) is in."""

    id: int
    pvid: bool
    untagged: bool


def port_vlans(rtnl: Rtnl) -> dict[int, list[PortVlan]]:
    """The VLANs of all ports, by index: RTM_GETLINK of AF_BRIDGE, include/uapi/linux/if_bridge.h."""
    body = struct.pack("=BxHiII", wire.AF_BRIDGE, 0, 0, 0, 0) + wire.u32(wire.IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN)
    found: dict[int, list[PortVlan]] = {}
    for reply in rtnl.dump(wire.RTM_GETLINK, body):
        index = struct.unpack_from("=i", reply, 4)[0]
        spec = attributes(reply[16:]).get(wire.IFLA_AF_SPEC, b"")
        found[index] = [
            PortVlan(number, bool(flags & VLAN_PVID), bool(flags & VLAN_UNTAGGED)) for flags, number in vlan_infos(spec)
        ]
    return found


def vlan_infos(spec: bytes) -> Iterator[tuple[int, int]]:
    """(flags, id) of each IFLA_BRIDGE_VLAN_INFO: there are several attributes of one type."""
    at = 0
    while at + 4 <= len(spec):
        length, kind = struct.unpack_from("=HH", spec, at)
        if length < 4:
            return
        if kind & 0x3FFF == IFLA_BRIDGE_VLAN_INFO and length >= 8:
            yield struct.unpack_from("=HH", spec, at + 4)
        at += (length + 3) & ~3
