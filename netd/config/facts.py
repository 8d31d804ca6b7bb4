"""What the kinds of declared objects say of them (``netd.kinds.base.roles``), for checks that know no kind by name."""

from __future__ import annotations

from netd.kinds import registry
from netd.kinds.base.roles import (
    AddressOnLink,
    AssignedAddress,
    Diversion,
    DivertsPackets,
    NeedsForwarding,
    RoutesPackets,
    Routing,
)
from netd.kinds.base.setting_kind import SettingKind
from netd.model.desired import Desired
from netd.model.key import Key, LinkName


def assigned_address(key: Key) -> tuple[LinkName, str] | None:
    """The link and the address (CIDR) of an object that gives a link an address."""
    kind = registry()[key.kind]
    return kind.address_on(key) if isinstance(kind, AssignedAddress) else None


def address_on_link(key: Key) -> tuple[LinkName, str] | None:
    """The same, also of an object that is a neighbor's address."""
    kind = registry()[key.kind]
    return kind.address_on(key) if isinstance(kind, AddressOnLink) else None


def routing(each: Desired) -> Routing | None:
    """What an object says if it is a route."""
    kind = registry()[each.key.kind]
    return kind.routing(each) if isinstance(kind, RoutesPackets) else None


def forwarded_families(key: Key) -> tuple[str, ...]:
    """The families ("ip", "ip6") of which an object needs that the machine forwards."""
    kind = registry()[key.kind]
    return tuple(kind.forwarded(key)) if isinstance(kind, NeedsForwarding) else ()


def diversion(each: Desired) -> Diversion | None:
    """Which packets to this machine an object sends to another."""
    kind = registry()[each.key.kind]
    return kind.diversion(each) if isinstance(kind, DivertsPackets) else None


def setting_kind(key: Key) -> SettingKind | None:
    """The kind of an object that is a kernel parameter."""
    kind = registry()[key.kind]
    return kind if isinstance(kind, SettingKind) else None


def setting_key(netns: str, path: str) -> Key:
    """The object that is the parameter at this path below /proc/sys."""
    return next(kind for kind in registry().values() if isinstance(kind, SettingKind)).key_of(netns, path)
