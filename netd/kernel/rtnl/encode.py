"""Operations -> requests to rtnetlink. Indexes and descriptors are looked up by the caller (``LinkLookup``).

A name or address that cannot be packed is a KernelError EINVAL, a link that is not there ENODEV.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

from netd.errors import kernel_error
from netd.model import operations as do
from netd.model.marks import PROTOCOL
from netd.model.state import (
    IFA_F_HOMEADDRESS,
    IFA_F_MANAGETEMPADDR,
    IFA_F_MCAUTOJOIN,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    NTF_PROXY,
    NTF_SELF,
    NUD_PERMANENT,
    Nexthop,
    PolicyRule,
    Route,
    attributes,
)

from . import wire
from .encode_link import MAKE, LinkLookup, create_link, set_link
from .encode_vlans import set_vlans, set_vnis
from .wire import Request

PUT = wire.NLM_F_CREATE | wire.NLM_F_REPLACE
#: The flags of an address that user space sets.
ADDRESS_FLAGS = IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN
#: ifa_cacheinfo.ifa_valid (INFINITY_LIFE_TIME).
FOREVER = b"\xff" * 4
NO_MAC = "00:00:00:00:00:00"


def put_address(operation: do.PutAddress, lookup: LinkLookup) -> list[Request]:
    """IFA_F_NODAD is of IPv6 alone."""
    return [Request(wire.RTM_NEWADDR, PUT, address_body(operation, lookup.index(operation.netns, operation.dev)))]


def address_body(operation: do.PutAddress, index: int) -> bytes:
    """ifaddrmsg and IFA_* of an address. The scope is the one that iproute2 chooses: host for loopback addresses."""
    packed, length = wire.split_cidr(operation.address)
    family = wire.family_of(operation.address)
    nodad = IFA_F_NODAD if operation.nodad and family == socket.AF_INET6 else 0
    if operation.like:
        return repeat_address(operation.like, index, nodad, changed_attributes(operation))
    loopback = family == socket.AF_INET and packed[0] == 127
    scope = wire.RT_SCOPE_HOST if loopback else wire.RT_SCOPE_UNIVERSE
    body = struct.pack("=BBBBI", family, length, 0, scope, index)
    body += wire.attribute(wire.IFA_LOCAL, packed) + wire.attribute(wire.IFA_ADDRESS, packed)
    if nodad:
        body += wire.u32(wire.IFA_FLAGS, nodad)
    if operation.protocol:
        body += wire.u8(wire.IFA_PROTO, operation.protocol)
    return body + wire.mapping(changed_attributes(operation))


def changed_attributes(operation: do.PutAddress) -> dict[int, bytes]:
    """IFA_LABEL, and the lifetimes of a deprecated address (ifa_cacheinfo: preferred, valid)."""
    found = {}
    if operation.label:
        found[wire.IFA_LABEL] = operation.label.encode() + b"\0"
    if operation.deprecated is not None and (operation.deprecated or operation.like):
        found[wire.IFA_CACHEINFO] = (bytes(4) if operation.deprecated else FOREVER) + FOREVER + bytes(8)
    return found


def repeat_address(
    raw: bytes, index: int, nodad: int | None = None, changed: Mapping[int, bytes] = MappingProxyType({})
) -> bytes:
    """A message that was read before, without what the kernel only reports, and with this IFA_F_NODAD."""
    family, length, _, scope = struct.unpack_from("=BBBB", raw)
    found = attributes(raw[8:])
    flags = struct.unpack("=I", found.get(wire.IFA_FLAGS, bytes(4)))[0] & ADDRESS_FLAGS
    if nodad is not None:
        flags = flags & ~IFA_F_NODAD | nodad
    found[wire.IFA_FLAGS] = struct.pack("=I", flags)
    # A deprecated address without end is kept so; one with a limited lifetime gets an unlimited one.
    if found.get(wire.IFA_CACHEINFO, b"")[4:8] != FOREVER:
        found.pop(wire.IFA_CACHEINFO, None)
    found.update(changed)
    return struct.pack("=BBBBI", family, length, 0, scope, index) + wire.mapping(found)


def restore_address(operation: do.RestoreAddress, lookup: LinkLookup) -> list[Request]:
    """A message that was read before."""
    index = lookup.index(operation.netns, operation.dev)
    return [Request(wire.RTM_NEWADDR, MAKE, repeat_address(operation.raw, index))]


def delete_address(operation: do.DeleteAddress, lookup: LinkLookup) -> list[Request]:
    """By its local address and prefix length: of IPv4 that counts only beside IFA_ADDRESS (net/ipv4/devinet.c)."""
    packed, length = wire.split_cidr(operation.address)
    index = operation.index or lookup.index(operation.netns, operation.dev)
    body = struct.pack("=BBBBI", wire.family_of(operation.address), length, 0, 0, index)
    body += wire.attribute(wire.IFA_LOCAL, packed) + wire.attribute(wire.IFA_ADDRESS, packed)
    return [Request(wire.RTM_DELADDR, 0, body)]


def create_route(operation: do.CreateRoute, lookup: LinkLookup) -> list[Request]:
    """IPv6 without NLM_F_EXCL: a router's advertisement of the same metric stays beside it."""
    hops = tuple(
        Nexthop(hop.via, lookup.index(operation.netns, hop.dev) if hop.dev else 0, hop.weight, hop.onlink)
        for hop in operation.hops
    )
    direct = operation.type == "unicast" and hops and not any(hop.via for hop in hops)
    value = Route(
        operation.family, operation.table, operation.to, operation.metric, operation.type,
        operation.protocol or PROTOCOL,
        wire.RT_SCOPE_LINK if direct else wire.RT_SCOPE_UNIVERSE, 0, operation.src, operation.mtu, hops,
    )  # fmt: skip
    flags = MAKE if operation.family == socket.AF_INET else wire.NLM_F_CREATE
    return [Request(wire.RTM_NEWROUTE, flags, route_body(value))]


def delete_route(operation: do.DeleteRoute, lookup: LinkLookup) -> list[Request]:
    """Exactly this one: the kernel compares what the message names."""
    return [Request(wire.RTM_DELROUTE, 0, operation.route.raw or route_body(operation.route))]


def rtmsg(family: int, protocol: int = 0) -> bytes:
    """struct rtmsg of a question."""
    return struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, protocol, 0, 0, 0)


def route_body(route: Route) -> bytes:
    """rtmsg and RTA_* of a route."""
    if route.type not in wire.ROUTE_NUMBERS:
        raise ValueError(f"route type {route.type}")
    destination, length = wire.split_cidr(route.to)
    single = route.nexthops[0] if len(route.nexthops) == 1 else None
    flags = wire.RTNH_F_ONLINK if single is not None and single.onlink else 0
    table = route.table if route.table < 256 else wire.RT_TABLE_COMPAT
    body = struct.pack(
        "=BBBBBBBBI", route.family, length, 0, route.tos, table, route.protocol, route.scope,
        wire.ROUTE_NUMBERS[route.type], flags,
    )  # fmt: skip
    body += wire.u32(wire.RTA_TABLE, route.table)
    if length:
        body += wire.attribute(wire.RTA_DST, destination)
    if route.metric:
        body += wire.u32(wire.RTA_PRIORITY, route.metric)
    if route.src:
        body += wire.attribute(wire.RTA_PREFSRC, wire.address_bytes(route.src))
    if route.mtu:
        body += wire.nested(wire.RTA_METRICS, wire.u32(wire.RTAX_MTU, route.mtu))
    if single is not None:
        body += gateway(single, route.family)
        if single.index:
            body += wire.u32(wire.RTA_OIF, single.index)
    elif route.nexthops:
        several = b"".join(nexthop(hop, route.family) for hop in route.nexthops)
        body += wire.nested(wire.RTA_MULTIPATH, several)
    return body


def nexthop(hop: Nexthop, family: int) -> bytes:
    """struct rtnexthop with its gateway; weights count from 0 there."""
    inner = gateway(hop, family)
    flags = wire.RTNH_F_ONLINK if hop.onlink else 0
    return wire.rtnexthop(flags, hop.weight - 1, hop.index, inner)


def gateway(hop: Nexthop, family: int) -> bytes:
    """RTA_GATEWAY, or RTA_VIA for a gateway of the other family."""
    if not hop.via:
        return b""
    packed = wire.address_bytes(hop.via)
    own = wire.family_of(hop.via)
    if own == family:
        return wire.attribute(wire.RTA_GATEWAY, packed)
    return wire.attribute(wire.RTA_VIA, struct.pack("=H", own) + packed)


def create_rule(operation: do.CreateRule, lookup: LinkLookup) -> list[Request]:
    """With netd's protocol number, whatever the value says."""
    return [Request(wire.RTM_NEWRULE, MAKE, rule_body(operation.rule, PROTOCOL))]


def delete_rule(operation: do.DeleteRule, lookup: LinkLookup) -> list[Request]:
    """Exactly this one."""
    rule = operation.rule
    return [Request(wire.RTM_DELRULE, 0, rule.raw or rule_body(rule, rule.protocol))]


def rule_body(rule: PolicyRule, protocol: int) -> bytes:
    """fib_rule_hdr and FRA_* of a rule."""
    source, source_length = wire.split_cidr(rule.source) if rule.source else (b"", 0)
    to, to_length = wire.split_cidr(rule.to) if rule.to else (b"", 0)
    table = rule.table if rule.table < 256 else wire.RT_TABLE_COMPAT
    flags = wire.FIB_RULE_INVERT if rule.inverted else 0
    body = struct.pack("=BBBBBxxBI", rule.family, to_length, source_length, 0, table, rule.action, flags)
    body += wire.u32(wire.FRA_PRIORITY, rule.priority) + wire.u32(wire.FRA_TABLE, rule.table)
    # A prefix of no length is the same as none; the kernel refuses the address that belongs to it.
    if source_length:
        body += wire.attribute(wire.FRA_SRC, source)
    if to_length:
        body += wire.attribute(wire.FRA_DST, to)
    if rule.iif:
        body += wire.text(wire.FRA_IIFNAME, rule.iif)
    if rule.oif:
        body += wire.text(wire.FRA_OIFNAME, rule.oif)
    if rule.fwmark or rule.fwmask:
        body += wire.u32(wire.FRA_FWMARK, rule.fwmark)
    if rule.fwmask:
        body += wire.u32(wire.FRA_FWMASK, rule.fwmask)
    if rule.suppress_prefixlength >= 0:
        body += wire.u32(wire.FRA_SUPPRESS_PREFIXLEN, rule.suppress_prefixlength)
    if rule.ipproto:
        body += wire.u8(wire.FRA_IP_PROTO, rule.ipproto)
    for kind, ports in ((wire.FRA_SPORT_RANGE, rule.sport), (wire.FRA_DPORT_RANGE, rule.dport)):
        if ports:
            first, _, last = ports.partition("-")
            body += wire.attribute(kind, struct.pack("=HH", int(first), int(last or first)))
    return body + (wire.u8(wire.FRA_PROTOCOL, protocol) if protocol else b"")


def ndmsg(family: int, index: int = 0, state: int = 0, flags: int = 0) -> bytes:
    """struct ndmsg."""
    return struct.pack("=BxxxiHBB", family, index, state, flags, 0)


def put_neighbor(operation: do.PutNeighbor, lookup: LinkLookup) -> list[Request]:
    """A permanent entry."""
    return [Request(wire.RTM_NEWNEIGH, PUT, neighbor_body(operation, lookup.index(operation.netns, operation.dev)))]


def neighbor_body(operation: do.PutNeighbor, index: int) -> bytes:
    """ndmsg and NDA_* of a permanent entry, or of a proxy."""
    flags = NTF_PROXY if operation.proxy else 0
    body = ndmsg(wire.family_of(operation.address), index, NUD_PERMANENT, flags)
    body += wire.attribute(wire.NDA_DST, wire.address_bytes(operation.address))
    if not operation.proxy:
        body += wire.attribute(wire.NDA_LLADDR, wire.mac_bytes(operation.mac))
    if operation.protocol:
        body += wire.u8(wire.NDA_PROTOCOL, operation.protocol)
    return body


def repeat_neighbor(raw: bytes, index: int) -> bytes:
    """A message that was read before, without what the kernel only reports."""
    found = attributes(raw[12:])
    kept = {kind: found[kind] for kind in (wire.NDA_DST, wire.NDA_LLADDR, wire.NDA_PROTOCOL) if kind in found}
    return raw[:4] + struct.pack("=i", index) + raw[8:12] + wire.mapping(kept)


def restore_neighbor(operation: do.RestoreNeighbor, lookup: LinkLookup) -> list[Request]:
    """A message that was read before."""
    body = repeat_neighbor(operation.raw, lookup.index(operation.netns, operation.dev))
    return [Request(wire.RTM_NEWNEIGH, MAKE, body)]


def restore_port(operation: do.RestorePort, lookup: LinkLookup) -> list[Request]:
    """First its master, then its settings: the kernel refuses settings of a link that is no port."""
    settings = do.LinkSettings(master=operation.master, port=operation.port)
    return set_link(do.SetLink(operation.netns, operation.dev, settings), lookup)


def delete_neighbor(operation: do.DeleteNeighbor, lookup: LinkLookup) -> list[Request]:
    """By its address."""
    index = operation.index or lookup.index(operation.netns, operation.dev)
    body = ndmsg(wire.family_of(operation.address), index, flags=NTF_PROXY if operation.proxy else 0)
    body += wire.attribute(wire.NDA_DST, wire.address_bytes(operation.address))
    return [Request(wire.RTM_DELNEIGH, 0, body)]


def fdb_body(operation: do.PutFdb | do.DeleteFdb, index: int, state: int) -> bytes:
    """ndmsg and NDA_* of an entry in a vxlan's own table."""
    body = ndmsg(wire.AF_BRIDGE, index, state, NTF_SELF)
    body += wire.attribute(wire.NDA_LLADDR, wire.mac_bytes(operation.mac))
    if operation.dst:
        body += wire.attribute(wire.NDA_DST, wire.address_bytes(operation.dst))
    if operation.port:
        body += wire.attribute(wire.NDA_PORT, struct.pack(">H", operation.port))
    if operation.source:
        body += wire.u32(wire.NDA_SRC_VNI, operation.source)
    return body + (wire.u32(wire.NDA_VNI, operation.vni) if operation.vni else b"")


def put_fdb(operation: do.PutFdb, lookup: LinkLookup) -> list[Request]:
    """The all-zero MAC and groups have one entry per remote: appended, never replaced."""
    index = lookup.index(operation.netns, operation.dev)
    several = operation.mac == NO_MAC or int(operation.mac[:2], 16) & 1
    flags = wire.NLM_F_CREATE | (wire.NLM_F_APPEND if several else wire.NLM_F_REPLACE)
    body = fdb_body(operation, index, NUD_PERMANENT | wire.NUD_NOARP)
    if operation.via:
        body += wire.u32(wire.NDA_IFINDEX, lookup.index(operation.netns, operation.via))
    return [Request(wire.RTM_NEWNEIGH, flags, body)]


def delete_fdb(operation: do.DeleteFdb, lookup: LinkLookup) -> list[Request]:
    """One remote of one MAC."""
    index = operation.index or lookup.index(operation.netns, operation.dev)
    via = wire.u32(wire.NDA_IFINDEX, operation.via) if operation.via else b""
    return [Request(wire.RTM_DELNEIGH, 0, fdb_body(operation, index, 0) + via)]


def tcmsg(index: int = 0, handle: int = 0, parent: int = 0) -> bytes:
    """struct tcmsg."""
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, handle, parent, 0)


def put_qdisc(operation: do.PutQdisc, lookup: LinkLookup) -> list[Request]:
    """One of that handle is changed in place, tc_modify_qdisc() in net/sched/sch_api.c."""
    index = lookup.index(operation.netns, operation.dev)
    body = tcmsg(index, operation.handle, wire.TC_H_ROOT) + wire.text(wire.TCA_KIND, operation.kind)
    return [Request(wire.RTM_NEWQDISC, PUT, body + wire.attribute(wire.TCA_OPTIONS, operation.options))]


def delete_qdisc(operation: do.DeleteQdisc, lookup: LinkLookup) -> list[Request]:
    """By its handle: not another one that has taken its place."""
    index = operation.index or lookup.index(operation.netns, operation.dev)
    return [Request(wire.RTM_DELQDISC, 0, tcmsg(index, operation.handle, wire.TC_H_ROOT))]


def restore_route(operation: do.RestoreRoute, lookup: LinkLookup) -> list[Request]:
    """A message that was read before; several of them keep their order."""
    body = operation.raw
    if operation.dev:
        found = attributes(body[12:])
        if wire.RTA_MULTIPATH in found:
            index = lookup.index(operation.netns, operation.dev)
            found[wire.RTA_MULTIPATH] = moved_hops(body[0], found[wire.RTA_MULTIPATH], operation.was, index)
        else:
            found[wire.RTA_OIF] = struct.pack("=I", lookup.index(operation.netns, operation.dev))
        body = body[:12] + wire.mapping(found)
    return [Request(wire.RTM_NEWROUTE, wire.NLM_F_CREATE | wire.NLM_F_APPEND, body)]


def moved_hops(family: int, several: bytes, was: int, index: int) -> bytes:
    """RTA_MULTIPATH with ``index`` instead of ``was``. For IPv6 only these hops: the kernel adds them to the route."""
    return b"".join(
        wire.rtnexthop(flags, weight, index if old == was else old, inner)
        for flags, weight, old, inner in wire.rtnexthops(several)
        if old == was or family != socket.AF_INET6
    )


def restore_rule(operation: do.RestoreRule, lookup: LinkLookup) -> list[Request]:
    """A message that was read before."""
    return [Request(wire.RTM_NEWRULE, MAKE, operation.raw)]


Encoder = Callable[..., list[Request]]
ENCODERS: Mapping[type[do.Operation], Encoder] = {
    do.CreateLink: create_link,
    do.SetLink: set_link,
    do.PutAddress: put_address,
    do.DeleteAddress: delete_address,
    do.RestoreAddress: restore_address,
    do.RestorePort: restore_port,
    do.CreateRoute: create_route,
    do.DeleteRoute: delete_route,
    do.RestoreRoute: restore_route,
    do.CreateRule: create_rule,
    do.DeleteRule: delete_rule,
    do.RestoreRule: restore_rule,
    do.PutNeighbor: put_neighbor,
    do.RestoreNeighbor: restore_neighbor,
    do.DeleteNeighbor: delete_neighbor,
    do.PutFdb: put_fdb,
    do.DeleteFdb: delete_fdb,
    do.SetVlans: set_vlans,
    do.SetVnis: set_vnis,
    do.PutQdisc: put_qdisc,
    do.DeleteQdisc: delete_qdisc,
}


def encode(operation: do.Operation, lookup: LinkLookup) -> list[Request]:
    """The requests of one operation, in order; KernelError where it cannot be encoded."""
    try:
        return ENCODERS[type(operation)](operation, lookup)
    except (ValueError, OSError, struct.error) as error:
        raise kernel_error(errno.EINVAL, f"{type(operation).__name__}: {error}") from None
