"""Messages of the kernel -> values of ``netd.model.state``. Never raises: what makes no sense is None.

Shapes: rtnetlink(7). Attributes that a kernel does not send read as 0 or "".
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator, Mapping

from netd.model.state import (
    VLAN_PVID,
    VLAN_UNTAGGED,
    Address,
    FdbEntry,
    Link,
    Neighbor,
    Nexthop,
    PolicyRule,
    PortVlan,
    Qdisc,
    Route,
    attributes,
)

from . import wire

#: What a Rule can say; any other attribute makes it ``other``.
KNOWN_RULE = frozenset({
    wire.FRA_DST, wire.FRA_SRC, wire.FRA_IIFNAME, wire.FRA_OIFNAME, wire.FRA_PRIORITY, wire.FRA_FWMARK, wire.FRA_FWMASK,
    wire.FRA_TABLE, wire.FRA_PROTOCOL, wire.FRA_PAD, wire.FRA_SUPPRESS_PREFIXLEN, wire.FRA_IP_PROTO,
    wire.FRA_SPORT_RANGE, wire.FRA_DPORT_RANGE,
})  # fmt: skip


def number(payload: bytes | None) -> int:
    """An unsigned integer of the machine's byte order; 0 where there is none."""
    return int.from_bytes(payload[:8], sys.byteorder) if payload else 0


def string(payload: bytes | None) -> str:
    """A C string. A byte that is no UTF-8 is shown as an escape."""
    return payload.partition(b"\0")[0].decode(errors="backslashreplace") if payload else ""


def mac(payload: bytes | None) -> str:
    """A hardware address of six bytes, "" for others."""
    return payload.hex(":") if payload and len(payload) == 6 else ""


def ip(payload: bytes | None) -> str:
    """An IPv4 or IPv6 address by its length, in the spelling of ``ipaddress``; "" where it is neither."""
    if not payload:
        return ""
    if len(payload) == 4:
        return socket.inet_ntoa(payload)
    if len(payload) != 16:
        return ""
    shown = socket.inet_ntop(socket.AF_INET6, payload)
    # glibc writes ::ffff:10.0.0.1, ipaddress ::ffff:a00:1.
    return str(ipaddress.IPv6Address(payload)) if "." in shown else shown


def network(payload: bytes | None, length: int, family: int) -> str:
    """A CIDR; no payload is the zero address."""
    zero = "::" if family == socket.AF_INET6 else "0.0.0.0"
    return f"{ip(payload) or zero}/{length}"


def link(payload: bytes) -> Link | None:
    """RTM_NEWLINK of AF_UNSPEC: ifinfomsg and IFLA_*."""
    if len(payload) < 16:
        return None
    family, _, index, flags = struct.unpack_from("=BxHiI", payload)
    if family != socket.AF_UNSPEC or index <= 0:
        return None
    found = attributes(payload[16:])
    info = attributes(found.get(wire.IFLA_LINKINFO, b""))
    netnsid = found.get(wire.IFLA_LINK_NETNSID)
    slave = string(info.get(wire.IFLA_INFO_SLAVE_KIND))
    return Link(
        index=index,
        name=string(found.get(wire.IFLA_IFNAME)),
        kind=string(info.get(wire.IFLA_INFO_KIND)),
        flags=flags,
        mtu=number(found.get(wire.IFLA_MTU)),
        mac=mac(found.get(wire.IFLA_ADDRESS)),
        master=number(found.get(wire.IFLA_MASTER)),
        group=number(found.get(wire.IFLA_GROUP)),
        link=number(found.get(wire.IFLA_LINK)),
        link_netnsid=struct.unpack("=i", netnsid)[0] if netnsid is not None and len(netnsid) == 4 else None,
        alias=string(found.get(wire.IFLA_IFALIAS)),
        altnames=alternative_names(found[wire.IFLA_PROP_LIST]) if wire.IFLA_PROP_LIST in found else (),
        info=info.get(wire.IFLA_INFO_DATA, b""),
        port=info.get(wire.IFLA_INFO_SLAVE_DATA, b"") if slave == "bridge" else b"",
    )


def alternative_names(payload: bytes) -> tuple[str, ...]:
    """IFLA_PROP_LIST: one IFLA_ALT_IFNAME for each."""
    names, at = [], 0
    while at + 4 <= len(payload):
        length, kind = struct.unpack_from("=HH", payload, at)
        if length < 4 or at + length > len(payload):
            break
        if kind & 0x3FFF == wire.IFLA_ALT_IFNAME:
            names.append(string(payload[at + 4 : at + length]))
        at += (length + 3) & ~3
    return tuple(names)


def address(payload: bytes) -> Address | None:
    """RTM_NEWADDR: ifaddrmsg and IFA_*. The local address counts, IFA_ADDRESS is the peer's where both are sent."""
    if len(payload) < 8:
        return None
    family, length, flags, scope, index = struct.unpack_from("=BBBBI", payload)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(payload[8:])
    other = ip(found.get(wire.IFA_ADDRESS))
    local = ip(found.get(wire.IFA_LOCAL)) or other
    if not local:
        return None
    return Address(
        index=index,
        address=f"{local}/{length}",
        flags=number(found[wire.IFA_FLAGS]) if wire.IFA_FLAGS in found else flags,
        scope=scope,
        protocol=number(found.get(wire.IFA_PROTO)),
        peer=other if other != local else "",
        broadcast=ip(found.get(wire.IFA_BROADCAST)),
        label=string(found.get(wire.IFA_LABEL)),
        raw=payload,
    )


def route(payload: bytes) -> Route | None:
    """RTM_NEWROUTE: rtmsg and RTA_*. None for cached routes, and those that choose by source (IPv6 subtrees)."""
    if len(payload) < 12:
        return None
    family, length, source, tos, table, protocol, scope, kind, flags = struct.unpack_from("=BBBBBBBBI", payload)
    if family not in (socket.AF_INET, socket.AF_INET6) or flags & wire.RTM_F_CLONED or source:
        return None
    found = attributes(payload[12:])
    metrics = attributes(found.get(wire.RTA_METRICS, b""))
    name = wire.ROUTE_TYPES.get(kind, str(kind))
    return Route(
        family=family,
        table=number(found[wire.RTA_TABLE]) if wire.RTA_TABLE in found else table,
        to=network(found.get(wire.RTA_DST), length, family),
        metric=number(found.get(wire.RTA_PRIORITY)),
        type=name,
        protocol=protocol,
        scope=scope,
        tos=tos,
        src=ip(found.get(wire.RTA_PREFSRC)),
        mtu=number(metrics.get(wire.RTAX_MTU)),
        nexthops=() if name in wire.DEAD_ENDS else tuple(nexthops(found, flags)),
        raw=repeatable_route(payload[:12], found, flags),
    )


def nexthops(found: Mapping[int, bytes], flags: int) -> Iterator[Nexthop]:
    """The hops of a route, of a multipath one each (struct rtnexthop)."""
    several = found.get(wire.RTA_MULTIPATH)
    if several is None:
        hop = Nexthop(via(found), number(found.get(wire.RTA_OIF)), 1, bool(flags & wire.RTNH_F_ONLINK))
        if hop.via or hop.index:
            yield hop
        return
    for own, weight, index, inner in wire.rtnexthops(several):
        yield Nexthop(via(attributes(inner)), index, weight + 1, bool(own & wire.RTNH_F_ONLINK))


def via(found: Mapping[int, bytes]) -> str:
    """The gateway: RTA_GATEWAY, or RTA_VIA (struct rtvia) for one of the other family."""
    return ip(found.get(wire.RTA_GATEWAY)) or ip(found.get(wire.RTA_VIA, b"")[2:])


def repeatable_route(head: bytes, found: Mapping[int, bytes], flags: int) -> bytes:
    """The message so that the kernel takes it back: without what it only reports."""
    dropped = {wire.RTA_CACHEINFO}
    if wire.RTA_NH_ID in found:
        dropped |= {wire.RTA_OIF, wire.RTA_GATEWAY, wire.RTA_VIA, wire.RTA_MULTIPATH}
    kept = {kind: value for kind, value in found.items() if kind not in dropped}
    if wire.RTA_MULTIPATH in kept:
        kept[wire.RTA_MULTIPATH] = repeatable_hops(kept[wire.RTA_MULTIPATH])
    return head[:8] + struct.pack("=I", flags & wire.RTNH_F_ONLINK) + wire.mapping(kept)


def repeatable_hops(several: bytes) -> bytes:
    """RTA_MULTIPATH with only the flag that may be written: a hop that is dead just now is refused."""
    return b"".join(
        wire.rtnexthop(flags & wire.RTNH_F_ONLINK, weight, index, inner)
        for flags, weight, index, inner in wire.rtnexthops(several)
    )


def ports(payload: bytes | None) -> str:
    """struct fib_rule_port_range: "N" or "N-M", "" where there is none."""
    if not payload or len(payload) < 4:
        return ""
    first, last = struct.unpack_from("=HH", payload)
    return str(first) if first == last else f"{first}-{last}"


def rule(payload: bytes) -> PolicyRule | None:
    """RTM_NEWRULE: fib_rule_hdr and FRA_*."""
    if len(payload) < 12:
        return None
    family, to, source, tos, table, action, flags = struct.unpack_from("=BBBBBxxBI", payload)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(payload[12:])
    kept = {kind: value for kind, value in found.items() if kind != wire.FRA_PAD}
    suppressed = found.get(wire.FRA_SUPPRESS_PREFIXLEN, b"")
    return PolicyRule(
        family=family,
        priority=number(found.get(wire.FRA_PRIORITY)),
        table=number(found[wire.FRA_TABLE]) if wire.FRA_TABLE in found else table,
        source=network(found[wire.FRA_SRC], source, family) if wire.FRA_SRC in found else "",
        to=network(found[wire.FRA_DST], to, family) if wire.FRA_DST in found else "",
        iif=string(found.get(wire.FRA_IIFNAME)),
        oif=string(found.get(wire.FRA_OIFNAME)),
        fwmark=number(found.get(wire.FRA_FWMARK)),
        fwmask=number(found.get(wire.FRA_FWMASK)),
        action=action,
        protocol=number(found.get(wire.FRA_PROTOCOL)),
        suppress_prefixlength=int.from_bytes(suppressed, sys.byteorder, signed=True) if suppressed else -1,
        ipproto=number(found.get(wire.FRA_IP_PROTO)),
        sport=ports(found.get(wire.FRA_SPORT_RANGE)),
        dport=ports(found.get(wire.FRA_DPORT_RANGE)),
        inverted=bool(flags & wire.FIB_RULE_INVERT),
        other=bool(tos or set(found) - KNOWN_RULE),
        raw=payload[:8] + struct.pack("=I", flags & wire.FIB_RULE_INVERT) + wire.mapping(kept),
    )


def neighbor(payload: bytes) -> Neighbor | None:
    """RTM_NEWNEIGH of AF_INET or AF_INET6: ndmsg and NDA_*."""
    if len(payload) < 12:
        return None
    family, index, state = struct.unpack_from("=BxxxiH", payload)
    found = attributes(payload[12:])
    dst = ip(found.get(wire.NDA_DST))
    if family not in (socket.AF_INET, socket.AF_INET6) or not dst:
        return None
    return Neighbor(index, dst, mac(found.get(wire.NDA_LLADDR)), state, number(found.get(wire.NDA_PROTOCOL)), payload)


def fdb(payload: bytes) -> FdbEntry | None:
    """RTM_NEWNEIGH of AF_BRIDGE."""
    if len(payload) < 12:
        return None
    family, index, state, flags = struct.unpack_from("=BxxxiHB", payload)
    found = attributes(payload[12:])
    hardware = mac(found.get(wire.NDA_LLADDR))
    if family != wire.AF_BRIDGE or not hardware:
        return None
    return FdbEntry(
        index=index,
        mac=hardware,
        dst=ip(found.get(wire.NDA_DST)),
        port=int.from_bytes(found.get(wire.NDA_PORT, b"")[:2], "big"),
        vni=number(found.get(wire.NDA_VNI)),
        state=state,
        flags=flags,
        via=number(found.get(wire.NDA_IFINDEX)),
        source=number(found.get(wire.NDA_SRC_VNI)),
    )


def qdisc(payload: bytes) -> Qdisc | None:
    """RTM_NEWQDISC: tcmsg and TCA_*. None for all but a root that somebody chose."""
    if len(payload) < 20:
        return None
    index, handle, parent = struct.unpack_from("=xxxxiII", payload)
    if parent != wire.TC_H_ROOT or not handle:
        return None
    found = attributes(payload[20:])
    return Qdisc(index, string(found.get(wire.TCA_KIND)), handle, found.get(wire.TCA_OPTIONS, b""))


def entries(payload: bytes, index: int) -> Iterator[Mapping[int, bytes]]:
    """Of br_vlan_msg or tunnel_msg of one link, which look alike: its entries, of which there are many."""
    if len(payload) < 8 or struct.unpack_from("=xxxxI", payload)[0] != index:
        return
    at = 8
    while at + 4 <= len(payload):
        length, kind = struct.unpack_from("=HH", payload, at)
        if length < 4 or at + length > len(payload):
            return
        if kind & 0x3FFF == wire.VLANDB_ENTRY:
            yield attributes(payload[at + 4 : at + length])
        at += (length + 3) & ~3


def vnis(payload: bytes, index: int) -> Iterator[int]:
    """RTM_NEWTUNNEL of one link: VXLAN_VNIFILTER_ENTRY once for each VNI or range."""
    for found in entries(payload, index):
        first = number(found.get(wire.VNI_START))
        yield from range(first, (number(found.get(wire.VNI_END)) or first) + 1)


def vlans(payload: bytes, index: int) -> Iterator[tuple[int, PortVlan]]:
    """RTM_NEWVLAN of one link: BRIDGE_VLANDB_ENTRY once for each VLAN or range."""
    for found in entries(payload, index):
        info = found.get(wire.VLANDB_INFO, b"")
        if len(info) >= 4:
            flags, first = struct.unpack_from("=HH", info)
            vni = number(attributes(found.get(wire.VLANDB_TUNNEL, b"")).get(wire.VLANDB_TUNNEL_ID))
            for vlan in range(first, (number(found.get(wire.VLANDB_RANGE)) or first) + 1):
                # Of a range, the tunnels are consecutive, too.
                yield vlan, PortVlan(flags & (VLAN_PVID | VLAN_UNTAGGED), vni + vlan - first if vni else 0)
