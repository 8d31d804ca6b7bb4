"""Settings of a bridge's port: IFLA_BRPORT_*, include/uapi/linux/if_link.h."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: bridge_port key: (IFLA_BRPORT_*, struct format).
PORT_FIELDS: Mapping[str, tuple[int, str]] = {
    "isolated": (33, "=B"),
    "hairpin": (4, "=B"),
    "learning": (8, "=B"),
    "flood": (9, "=B"),
    "mcast_flood": (27, "=B"),
    "neigh_suppress": (32, "=B"),
    "cost": (3, "=I"),
    "priority": (2, "=H"),
}
#: What a port has when nobody says otherwise (net/bridge/br_if.c). The cost depends on the link's speed.
PORT_DEFAULTS: Mapping[str, Any] = {
    "isolated": False,
    "hairpin": False,
    "learning": True,
    "flood": True,
    "mcast_flood": True,
    "neigh_suppress": False,
    "priority": 32,
}
#: Those that somebody may have set: these, and GUARD, PROTECT, FAST_LEAVE, PROXYARP, PROXYARP_WIFI, MULTICAST_ROUTER,
#: MCAST_TO_UCAST, BCAST_FLOOD, GROUP_FWD_MASK.
PORT_SETTINGS = frozenset({number for number, _ in PORT_FIELDS.values()} | {5, 6, 7, 10, 12, 25, 28, 30, 31})
