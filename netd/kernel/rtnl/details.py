"""What an operator asks of one link, and nothing else needs: counters, all its neighbors, its forwarding entries.

Shapes: struct rtnl_link_stats64 in include/uapi/linux/if_link.h, ndmsg in include/uapi/linux/neighbour.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from netd.model.state import Neighbor, attributes

from . import decode, wire
from .encode import ndmsg
from .encode_link import ifinfomsg
from .netlink_socket import Rtnl
from .wire import Request

IFLA_STATS64, NDA_VLAN, NDA_MASTER = 23, 5, 9
#: The first eight counters, each 64 bits.
COUNTERS = (
    "rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped",
)  # fmt: skip
LAYOUT = struct.Struct("=8Q")


@dataclass(frozen=True, slots=True)
class Forwarding:
    """An entry of a forwarding database: ``index`` is the port, ``dst`` the remote of a tunnel, ``vlan`` 0 for none."""

    index: int
    mac: str
    dst: str = ""
    vlan: int = 0
    state: int = 0
    flags: int = 0


def counters(rtnl: Rtnl) -> dict[int, dict[str, int]]:
    """{index of a link: its counters} of a namespace, in one dump."""
    found: dict[int, dict[str, int]] = {}
    for body in rtnl.dump(wire.RTM_GETLINK, ifinfomsg()):
        index, values = _counters(body)
        if values:
            found[index] = values
    return found


def counters_of(rtnl: Rtnl, index: int) -> dict[str, int]:
    """The counters of one link; {} where it is not there."""
    reply = rtnl.get(Request(wire.RTM_GETLINK, 0, ifinfomsg(index)))
    return _counters(reply)[1] if reply is not None else {}


def _counters(body: bytes) -> tuple[int, dict[str, int]]:
    if len(body) < 16:
        return 0, {}
    payload = attributes(body[16:]).get(IFLA_STATS64, b"")
    if len(payload) < LAYOUT.size:
        return 0, {}
    index: int = struct.unpack_from("=i", body, 4)[0]
    return index, dict(zip(COUNTERS, LAYOUT.unpack_from(payload), strict=True))


def neighbors(rtnl: Rtnl, index: int) -> list[Neighbor]:
    """All entries of one link, learned ones too."""
    head = ndmsg(socket.AF_UNSPEC) + wire.u32(wire.NDA_IFINDEX, index)
    decoded = [decode.neighbor(body) for body in rtnl.dump(wire.RTM_GETNEIGH, head)]
    return [one for one in decoded if one is not None and one.index == index]


def forwarding(rtnl: Rtnl, index: int, *, bridge: bool) -> list[Forwarding]:
    """The entries of a bridge (of all its ports), or of one port, of a tunnel."""
    head = ndmsg(wire.AF_BRIDGE) + wire.u32(NDA_MASTER if bridge else wire.NDA_IFINDEX, index)
    found = [entry for body in rtnl.dump(wire.RTM_GETNEIGH, head) if (entry := _forwarding(body)) is not None]
    return found if bridge else [one for one in found if one.index == index]


def _forwarding(body: bytes) -> Forwarding | None:
    if len(body) < 12:
        return None
    family, index, state, flags = struct.unpack_from("=BxxxiHB", body)
    found = attributes(body[12:])
    hardware = decode.mac(found.get(wire.NDA_LLADDR))
    if family != wire.AF_BRIDGE or not hardware:
        return None
    return Forwarding(
        index, hardware, decode.ip(found.get(wire.NDA_DST)), decode.number(found.get(NDA_VLAN)), state, flags
    )
