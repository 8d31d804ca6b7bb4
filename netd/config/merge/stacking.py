"""Links on other links: what the kernel never puts together, whichever files declare them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from netd.config.facts import assigned_address, routing
from netd.kinds import registry
from netd.kinds.base.roles import OfBridge
from netd.kinds.link.bridge_port import PREFIX
from netd.kinds.link.link_kind import LinkKind
from netd.model.desired import Desired
from netd.model.key import LinkName
from netd.model.segment import End


class Wrong(NamedTuple):
    """``loser`` does not fit to ``winner``; ``{place}`` in ``text`` is where ``winner`` is."""

    loser: Desired
    winner: Desired
    text: str


def master_clashes(objects: list[Desired], copied: Collection[str], *, whole: bool) -> Iterator[Wrong]:
    """Members of a declared link that takes none, or not such ones. The error is the member's, even if it comes first.

    ``copied``: files of which the last good copy counts; they lose. ``whole``: these are the objects of all files.
    """
    makers = {end.link: (each, end) for each in objects for end in each.ends if not end.foreign}
    for each in objects:
        for end in each.ends:
            if end.master is not None and end.master not in makers and end.joins == "ports" and whole:
                yield Wrong(each, each, f"master: a bridge can only be in a vrf, and none declares '{end.master.name}'")
            if end.master is None or end.master not in makers or end.master in each.provides:
                continue
            maker, above = makers[end.master]
            key = end.field.removesuffix("mtu")
            text = _refused_member(each, end, key, maker, above)
            if text:
                gives_way = maker.file in copied and each.file not in copied
                yield Wrong(maker, each, text) if gives_way else Wrong(each, maker, text)
                break


def _refused_member(each: Desired, end: End, prefix: str, maker: Desired, above: End) -> str:
    name = above.link.name
    if end.joins == above.joins == "ports":
        return f"master: a bridge cannot be a port of a bridge, and '{name}' is {maker.key} at {{place}}"
    if not above.takes_members:
        return f"{prefix}master: '{name}' is {maker.key} at {{place}}: only a bridge, a bond or a vrf has members"
    kind = registry()[each.key.kind]
    if above.joins == "ports" and isinstance(kind, LinkKind) and not kind.is_ethernet(each.fields):
        return (
            f"{prefix}master: '{name}' is {maker.key} at {{place}}: this link carries IP packets, not Ethernet frames"
        )
    if above.joins != "ports" and any(field.startswith(prefix + PREFIX) for field in each.fields):
        return f"{prefix}bridge_port: '{name}' is {maker.key} at {{place}}: only a bridge has ports"
    return ""


def vlan_clashes(objects: list[Desired]) -> Iterator[Wrong]:
    """VLANs of members of something else than a bridge."""
    makers = {end.link: (each, end) for each in objects for end in each.ends if not end.foreign}
    for each in objects:
        if isinstance(registry()[each.key.kind], OfBridge):
            maker, end = next(((makers[link]) for link in each.requires[1:] if link in makers), (None, None))
            if maker is not None and end is not None and end.joins != "ports":
                yield Wrong(each, maker, f"'{end.link.name}' is {maker.key} at {{place}}: only a bridge has VLANs")


def member_address_clashes(objects: list[Desired]) -> Iterator[Wrong]:
    """Addresses and gateways on members of a bond: what arrives there goes to the bond, and never to them."""
    bonds = {end.link: each for each in objects for end in each.ends if end.joins == "members"}
    members = {
        end.link: bonds[end.master] for each in objects for end in each.ends if end.master and end.master in bonds
    }
    for each in objects if members else ():
        link, key = None, ""
        assigned, route = assigned_address(each.key), routing(each)
        if assigned is not None:
            link = assigned[0]
        elif route is not None:
            devs = (LinkName(each.key.netns, hop.dev) for hop in route.hops)
            link = next((dev for dev in devs if dev in members), None)
            key = "" if "gateway" in each.origins[0].path else "dev: "
        if link is not None and link in members:
            bond = members[link]
            text = f"{key}{link} is a member of {bond.key} at {{place}}, so its frames go there: write this on the bond"
            yield Wrong(each, bond, text)


def carrier_clashes(objects: list[Desired]) -> Iterator[Wrong]:
    """Links that the kernel never creates on the declared link that carries them."""
    makers = {end.link: each for each in objects for end in each.ends}
    for each in objects:
        lower = _lower(each)
        kind = registry()[each.key.kind]
        if lower is not None and lower in makers and isinstance(kind, LinkKind):
            text = kind.refused_over(each, makers[lower])
            if text:
                yield Wrong(each, makers[lower], f"{text} (the other is at {{place}})")


def receiver_clashes(objects: list[Desired]) -> Iterator[Wrong]:
    """A link passes its frames to one taker: a bridge or a bond as its port, or links of one kind that are on it.

    netdev_rx_handler_register(), net/core/dev.c.
    """
    masters = {end.link: each for each in objects for end in each.ends if end.joins in ("ports", "members")}
    takers: dict[LinkName, tuple[object, Desired, str]] = {}
    for each in objects:
        for link, taker, key, what in _taken(each, masters):
            other = takers.setdefault(link, (taker, each, what))
            if other[0] != taker:
                text = f"{key}: the frames of {link} go to {other[2]} already (at {{place}})"
                yield Wrong(each, other[1], text)
                break


def _taken(each: Desired, masters: Mapping[LinkName, Desired]) -> Iterator[tuple[LinkName, object, str, str]]:
    """The links whose frames an object takes, for whom, the key that says so, and that in words."""
    for end in each.ends:
        if end.master is not None and end.master in masters:
            yield end.link, end.master, end.field.removesuffix("mtu") + "master", str(masters[end.master].key)
    lower, kind = _lower(each), registry()[each.key.kind]
    if lower is not None and isinstance(kind, LinkKind) and kind.takes_frames:
        yield lower, kind.name, "dev", str(each.key)


def _lower(each: Desired) -> LinkName | None:
    """The link that carries an object, by its name."""
    tunnel = next((end.tunnel for end in each.ends if end.tunnel is not None), None)
    return LinkName(tunnel.netns, tunnel.dev) if tunnel is not None and tunnel.dev else None
