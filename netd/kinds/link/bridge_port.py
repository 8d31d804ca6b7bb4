"""Settings of a bridge's port, IFLA_BRPORT_* in include/uapi/linux/if_link.h: ``bridge_port`` of a link, bridge(8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from netd.kinds.base.options import Table, option
from netd.kinds.base.values import Range
from netd.model.state import attributes

from .attributes import Flag, Number, decode, encode, options

PREFIX = "bridge_port."
#: BR_GROUPFWD_MACPAUSE, net/bridge/br_private.h: all that a port refuses (br_setport()).
PAUSE = 0b010


class BridgePort(Table):
    """Settings of a link as a port of its bridge. The defaults are those of net/bridge/br_if.c."""

    isolated: bool | None = option(
        "the port exchanges no traffic with other isolated ports of the bridge",
        default=None,
        wire=Flag(33, default=False),
    )
    hairpin: bool | None = option(
        "frames may leave through the port that they arrived on", default=None, wire=Flag(4, default=False)
    )
    learning: bool | None = option("learn source addresses", default=None, wire=Flag(8, default=True))
    flood: bool | None = option("flood frames to unknown unicast addresses", default=None, wire=Flag(9, default=True))
    mcast_flood: bool | None = option("flood multicast frames", default=None, wire=Flag(27, default=True))
    neigh_suppress: bool | None = option(
        "answer ARP and neighbor discovery from the forwarding database", default=None, wire=Flag(32, default=False)
    )
    group_fwd_mask: Annotated[int, Range(0, 65535)] | None = option(
        "bit mask of link-local group addresses (01:80:c2:00:00:0X) that leave through this port; not bit 1",
        default=None,
        wire=Number(31, "=H", default=0),
    )
    vlan_tunnel: bool | None = option(
        "frames of a VLAN take the tunnel of it (`vlan_vni` of a vxlan)", default=None, wire=Flag(29, default=False)
    )
    # Its default depends on the speed of the link.
    cost: Annotated[int, Range(1, 65535)] | None = option("path cost for STP", default=None, wire=Number(3))
    priority: Annotated[int, Range(0, 63)] | None = option(
        "port priority for STP", default=None, wire=Number(2, "=H", default=32)
    )

    def check(self) -> None:
        if (self.group_fwd_mask or 0) & PAUSE:
            raise ValueError("group_fwd_mask: bit 1 cannot be set: pause frames are never forwarded")


#: {attribute: key}.
PORT_KEYS = {number: key for key, each in options(BridgePort).items() if each.wire for number in each.wire.numbers}
#: The defaults of a port; that of the cost depends on the link.
PORT_DEFAULTS: Mapping[str, Any] = {key: each.wire.default for key, each in options(BridgePort).items() if each.wire}
#: The settings that another program may have set: these, and GUARD, PROTECT, FAST_LEAVE, PROXYARP, PROXYARP_WIFI,
#: MULTICAST_ROUTER, MCAST_TO_UCAST, BCAST_FLOOD.
PORT_SETTINGS = frozenset(PORT_KEYS) | {5, 6, 7, 10, 12, 25, 28, 30}


def port_fields(table: BridgePort, prefix: str = "") -> dict[str, Any]:
    """The compared fields of the settings that are written."""
    return {f"{prefix}{PREFIX}{key}": value for key, value in vars(table).items() if value is not None}


def read_port(port: bytes, prefix: str = "") -> dict[str, Any]:
    """The fields of IFLA_INFO_SLAVE_DATA."""
    return decode(BridgePort, attributes(port), prefix + PREFIX)


def port_payload(fields: Mapping[str, Any], prefix: str = "") -> dict[int, bytes]:
    """The attributes of the port settings in ``fields``."""
    return encode(BridgePort, fields, prefix=prefix + PREFIX)
