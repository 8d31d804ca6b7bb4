"""VLANs of a bridge's ports -> requests of AF_BRIDGE, br_afspec() in net/bridge/br_netlink.c."""

from __future__ import annotations

import struct

from netd.model import operations as do

from . import wire
from .encode_link import LinkLookup
from .wire import Request


def set_vlans(operation: do.SetVlans, lookup: LinkLookup) -> list[Request]:
    """New ones come before the old ones go: a frame is never without its VLAN. A tunnel is replaced, not changed."""
    index = lookup.index(operation.netns, operation.dev)
    infos = b"".join(vlan_info(*each) for each in operation.add)
    gone = b"".join(vlan_info(first, last, 0) for first, last in operation.remove)
    tunnels = b"".join(tunnel_info(vlan, vni) for vlan, vni in operation.tunnels)
    dropped = b"".join(tunnel_info(vlan, 0) for vlan in operation.dropped)
    parts = (
        (wire.RTM_DELLINK, dropped),
        (wire.RTM_SETLINK, infos),
        (wire.RTM_DELLINK, gone),
        (wire.RTM_SETLINK, tunnels),
    )
    return [Request(kind, 0, body(index, payload, operation.own)) for kind, payload in parts if payload]


def body(index: int, payload: bytes, own: bool) -> bytes:
    """ifinfomsg of AF_BRIDGE and IFLA_AF_SPEC. ``own``: of the bridge itself, else of one of its ports."""
    flags = wire.attribute(wire.IFLA_BRIDGE_FLAGS, struct.pack("=H", wire.BRIDGE_SELF)) if own else b""
    head = struct.pack("=BxHiII", wire.AF_BRIDGE, 0, index, 0, 0)
    return head + wire.nested(wire.IFLA_AF_SPEC, flags + payload)


def vlan_info(first: int, last: int, flags: int) -> bytes:
    """struct bridge_vlan_info, two of them for a range."""
    if first == last:
        return wire.attribute(wire.IFLA_BRIDGE_VLAN_INFO, struct.pack("=HH", flags, first))
    ends = ((first, flags | wire.RANGE_BEGIN), (last, flags | wire.RANGE_END))
    return b"".join(wire.attribute(wire.IFLA_BRIDGE_VLAN_INFO, struct.pack("=HH", each, vlan)) for vlan, each in ends)


def tunnel_info(vlan: int, vni: int) -> bytes:
    """The tunnel of a VLAN."""
    vid = wire.attribute(wire.TUNNEL_VID, struct.pack("=H", vlan))
    return wire.nested(wire.IFLA_BRIDGE_VLAN_TUNNEL_INFO, wire.u32(wire.TUNNEL_ID, vni) + vid)


def set_vnis(operation: do.SetVnis, lookup: LinkLookup) -> list[Request]:
    """New ones first, vxlan_vnifilter_process() in drivers/net/vxlan/vxlan_vnifilter.c."""
    head = tunnel_msg(lookup.index(operation.netns, operation.dev))
    parts = ((wire.RTM_NEWTUNNEL, operation.add), (wire.RTM_DELTUNNEL, operation.remove))
    return [Request(kind, 0, head + b"".join(vni_entry(*each) for each in ranges)) for kind, ranges in parts if ranges]


def tunnel_msg(index: int) -> bytes:
    """struct tunnel_msg."""
    return struct.pack("=BxxxI", wire.AF_BRIDGE, index)


def vni_entry(first: int, last: int) -> bytes:
    """VNIs from the first to the last."""
    return wire.nested(wire.VNIFILTER_ENTRY, wire.u32(wire.VNI_START, first) + wire.u32(wire.VNI_END, last))
