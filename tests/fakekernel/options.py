"""The options of links: the fake kernel learns them from the tables of the kinds themselves."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from netd.errors import kernel_error
from netd.kernel.rtnl import wire
from netd.kinds import registry
from netd.kinds.base.roles import RoutesMembers
from netd.kinds.link.attributes import Address, Bit, encode, options
from netd.kinds.link.ends import LEAST_IPV6
from netd.kinds.link.link_kind import LinkKind
from netd.kinds.link.segment import link_kinds
from netd.kinds.link.tunnel import TunnelKind
from netd.kinds.link.untold import UntoldKind
from netd.model.segment import ETHERNET, LEAST
from netd.model.state import Address as StateAddress
from netd.model.state import Link

from .space import LOOPBACK, FakeNamespace

#: The largest MTU that a link takes by itself.
MOST = 65535 + LOOPBACK


class Lookup(NamedTuple):
    """What a kind needs to see of a namespace to read the options of a link in it."""

    known: Mapping[int, Link]

    def link_at(self, netns: str, index: int) -> Link | None:
        return self.known.get(index)

    def link(self, netns: str, name: str) -> Link | None:
        return next((link for link in self.known.values() if link.name == name), None)

    def links(self, netns: str) -> list[Link]:
        return list(self.known.values())

    def addresses(self, netns: str, index: int) -> Mapping[str, StateAddress]:
        return {}

    def is_peer_namespace(self, netns: str, nsid: int | None, other: str) -> bool:
        return False

    def namespace_of(self, netns: str, nsid: int | None, likely: str) -> str | None:
        return netns if nsid is None else None


def kind_of(name: str) -> LinkKind:
    """The kind of links that rtnetlink calls so; KernelError EOPNOTSUPP where netd makes none such."""
    kind = link_kinds().get(name)
    if kind is None:
        raise kernel_error(errno.EOPNOTSUPP, "Unknown device type")
    return kind


def at_birth(kind: LinkKind) -> dict[int, bytes]:
    """The attributes of a new link where nothing is said."""
    wires = {key: option.wire for key, option in options(kind.table).items() if option.wire is not None}
    return encode(kind.table, {key: wire.default for key, wire in wires.items() if wire.default not in (None, "")})


def applied(kind: LinkKind, old: Mapping[int, bytes], new: Mapping[int, bytes]) -> dict[int, bytes]:
    """The attributes once ``new`` are written: of flags only those of the mask."""
    wires = (option.wire for option in options(kind.table).values())
    flags = {number for each in wires if isinstance(each, Bit) for number in each.numbers}
    return {
        **old,
        **{
            number: Bit.joined(old[number], new[number]) if number in flags & old.keys() else value
            for number, value in new.items()
        },
    }


def without_zeros(kind: LinkKind, info: Mapping[int, bytes]) -> dict[int, bytes]:
    """Without the zero address, which means none."""
    wires = (option.wire for option in options(kind.table).values())
    addresses = {number for each in wires if isinstance(each, Address) for number in each.numbers}
    return {number: value for number, value in info.items() if number not in addresses or any(value)}


def read(name: str, info: Mapping[int, bytes], lower: int, outer: FakeNamespace) -> dict[str, Any]:
    """The options by their keys; ``name`` is rtnetlink's of the kind."""
    link = Link(0, "", name, link=lower, info=wire.mapping(info))
    return kind_of(name).read_options(link, "", Lookup(outer.links))


def changed(
    name: str, old: Mapping[int, bytes], new: Mapping[int, bytes], lower: int, outer: FakeNamespace
) -> dict[int, bytes]:
    """The attributes of a link once ``new`` are written; KernelError where one cannot change on a link."""
    kind = kind_of(name)
    # A tunnel is changed as a whole: what is not said goes back to its default.
    whole = isinstance(kind, TunnelKind)
    fresh = without_zeros(kind, {**at_birth(kind), **new} if whole else applied(kind, old, new))
    have, want = read(name, old, lower, outer), read(name, fresh, lower, outer)
    for key, option in options(kind.table).items():
        live = option.live(want[key], have[key]) if callable(option.live) else option.live
        if want[key] != have[key] and not live:
            raise kernel_error(errno.EOPNOTSUPP, f"Cannot change {key}")
    return fresh


def mtu_limits(name: str, info: Mapping[int, bytes], lower: int, outer: FakeNamespace) -> tuple[int, int]:
    """The least and the most MTU of a link; one that IPv6 limits at birth (a VRF) is never larger."""
    most = most_mtu(name, info, lower, outer)
    return (LEAST_IPV6 if most > MOST else LEAST, most)


def table_of(space: FakeNamespace, index: int) -> int:
    """The routing table of the members of a VRF; 0: main."""
    master = space.links.get(space.links[index].master)
    kind: object = registry().get(master.kind) if master is not None else None
    if master is None or not isinstance(kind, RoutesMembers):
        return 0
    return kind.member_table(replace(master, info=wire.mapping(space.info[master.index])))


def overhead(name: str, info: Mapping[int, bytes], lower: int, outer: FakeNamespace) -> int:
    """The bytes that the headers of a link take of the MTU of what carries it."""
    tunnel = kind_of(name).carrier(read(name, info, lower, outer), "")
    return (tunnel.overhead or 0) if tunnel is not None else 0


def first_mtu(name: str, info: Mapping[int, bytes], lower: int, outer: FakeNamespace) -> int:
    """The MTU of a new link; nothing has a route here, so a tunnel without a lower link is on one of 1500."""
    # What a wireguard takes is a constant; a geneve without a route takes nothing.
    if not lower and not isinstance(kind_of(name), TunnelKind) and name != "wireguard":
        return kind_of(name).first_mtu
    return max(LEAST, (outer.at(lower).mtu if lower else ETHERNET) - overhead(name, info, lower, outer))


def limits_nothing(kind: LinkKind) -> bool:
    """Whether a link can have an MTU larger than what carries it leaves."""
    return isinstance(kind, TunnelKind | UntoldKind)


def most_mtu(name: str, info: Mapping[int, bytes], lower: int, outer: FakeNamespace) -> int:
    """A link is no larger than what carries it leaves, in the namespace ``outer``."""
    if name not in link_kinds():
        return MOST
    if not lower or limits_nothing(kind_of(name)):
        return max(MOST, kind_of(name).first_mtu)
    return max(LEAST, outer.at(lower).mtu - overhead(name, info, lower, outer))


def elsewhere(link: Link, kind: LinkKind | None, nsid: int) -> Link:
    """A link as it is read where what carries it is in another namespace."""
    if kind is not None and not kind.tells_namespace:
        return link
    if kind is not None and kind.lower is not None and kind.lower[1].number:
        # No ndo_get_iflink: IFLA_LINK is the link itself, the option tells what carries it.
        return replace(link, link=link.index, link_netnsid=nsid)
    return replace(link, link_netnsid=nsid)
