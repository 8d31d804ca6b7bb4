"""Layer-2 segments: links that reach each other through bridges and pairs, across namespaces, and what fits through.

Declared links count as declared, even if the kernel has something else; other links as the kernel has them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netd.kinds import registry
from netd.model.key import HOST, LinkName
from netd.model.segment import AUTO, ETHERNET, LEAST, End, Joins, Links, Tunnel
from netd.model.state import IFF_LOOPBACK, Link

from .link_kind import LinkKind

#: The facts of a link that matter: equal facts mean the same segment, of the same size.
Facts = tuple[tuple[LinkName, ...], int | None, Tunnel | None]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """``size`` is the MTU that fits everywhere.

    What it was read from: ``facts`` of its own links, and of segments below its tunnels; ``carriers``, what carries
    those, with its present MTU (None: not there); ``searched``, namespaces in which a tunnel's address was looked for.
    """

    members: frozenset[LinkName]
    size: int
    facts: Mapping[LinkName, Facts]
    carriers: Mapping[LinkName, int | None]
    searched: frozenset[str]


@functools.cache
def link_kinds() -> Mapping[str, LinkKind]:
    """The kinds of links that netd creates, by what rtnetlink calls them."""
    found = [kind for kind in registry().values() if isinstance(kind, LinkKind) and kind.traits.provides_links]
    return {name: kind for kind in found for name in kind.rtnl_kinds}


def kind_of(link: Link | None) -> LinkKind | None:
    """The kind of a link, None if netd does not create such links."""
    return link_kinds().get(link.kind) if link is not None else None


def joins(link: Link) -> Joins:
    """Which other links share the segment of one by itself: ``LinkKind.joins``."""
    kind = kind_of(link)
    return kind.joins if kind is not None else ""


#: Of a link that other links have as their master, if they are in its segment.
MASTERS = ("ports", "members")


class Segments:
    """The segments of these declared ends, as far as ``view`` shows the rest."""

    def __init__(self, ends: Iterable[End], view: Links) -> None:
        self.ends = {end.link: end for end in ends}
        self._view = view
        self._ports: dict[LinkName, list[LinkName]] = {}
        for end in self.ends.values():
            if end.master is not None and self._encloses(end.master):
                self._ports.setdefault(end.master, []).append(end.link)
        #: Where the other end of a foreign pair can be.
        self._spaces = {HOST} | {end.link.netns for end in self.ends.values() if end.foreign}

    def _encloses(self, master: LinkName) -> bool:
        """Whether links are in the segment of their master; a router's (VRF) are not."""
        end, seen = self.ends.get(master), self._view.link(*master)
        if end is not None and not end.foreign:
            return end.joins in MASTERS
        return seen is None or kind_of(seen) is None or joins(seen) in MASTERS

    def segment(self, start: LinkName, within: frozenset[LinkName] = frozenset()) -> Segment:
        """The segment of a link. ``within``: links whose segments depend on this one, so it cannot depend on them."""
        members = frozenset(self._members(start))
        facts = {link: self.facts(link) for link in members}
        limits = [limit for _, limit, _ in facts.values() if limit is not None]
        carriers: dict[LinkName, int | None] = {}
        searched: set[str] = set()
        for link, (_, _, tunnel) in list(facts.items()):
            if tunnel is None:
                continue
            if tunnel.local and not tunnel.dev:
                searched.add(tunnel.netns)
            carrier = LinkName(tunnel.netns, tunnel.dev) if tunnel.dev else self._holder(tunnel.netns, tunnel.local)
            below = self._below(carrier, within | members)
            if carrier is not None:
                carriers[carrier] = self.present(carrier)
            if below is not None:
                facts |= below.facts
                carriers |= below.carriers
                searched |= below.searched
            room = below.size if below is not None else self._carries(carrier)
            if room is not None and not self._written(link):
                limits.append(room - (tunnel.overhead or 0))
        return Segment(members, max(LEAST, min(limits, default=ETHERNET)), facts, carriers, frozenset(searched))

    def _members(self, start: LinkName) -> set[LinkName]:
        found, left = {start}, [start]
        while left:
            for link in self.beside(left.pop()):
                if link not in found:
                    found.add(link)
                    left.append(link)
        return found

    def _written(self, link: LinkName) -> bool:
        end = self.ends.get(link)
        return end is not None and isinstance(end.mtu, int)

    def beside(self, link: LinkName) -> Iterator[LinkName]:
        """The neighbors of one link: its bridge, its other end, its ports."""
        yield from self._above(link)
        yield from self._ports.get(link, ())
        seen = self._view.link(*link)
        if seen is not None and joins(seen) in MASTERS:
            yield from self._others_ports(link.netns, seen.index)

    def _above(self, link: LinkName) -> Iterator[LinkName]:
        end, seen = self.ends.get(link), self._view.link(*link)
        if end is not None and end.master is not None:
            if self._encloses(end.master):
                yield end.master
        elif seen is not None and seen.master:
            master = self._view.link_at(link.netns, seen.master)
            if master is not None and joins(master) in MASTERS:
                yield LinkName(link.netns, master.name)
        if end is not None and end.peer is not None:
            yield end.peer
        elif seen is not None and joins(seen) == "other end":
            yield from self._other_end(link.netns, seen)

    def _others_ports(self, netns: str, bridge: int) -> Iterator[LinkName]:
        """Ports of a bridge that are not declared as such."""
        for port in self._view.links(netns):
            if port.master == bridge:
                link = LinkName(netns, port.name)
                end = self.ends.get(link)
                if end is None or end.master is None:
                    yield link

    def _other_end(self, netns: str, seen: Link) -> Iterator[LinkName]:
        """The other end of a foreign pair; none if it is in a namespace without a name."""
        for space in (netns,) if seen.link_netnsid is None else self._spaces:
            if self._view.is_peer_namespace(netns, seen.link_netnsid, space):
                other = self._view.link_at(space, seen.link)
                if other is not None and other.kind == seen.kind and other.link == seen.index:
                    yield LinkName(space, other.name)
                    return

    def _tunnel(self, link: LinkName) -> Tunnel | None:
        end = self.ends.get(link)
        if end is not None and not end.foreign:
            return end.tunnel
        seen = self._view.link(*link)
        kind = kind_of(seen)
        if seen is None or kind is None:
            return None
        nsid, spaces = seen.link_netnsid, self._spaces | {link.netns}
        if nsid is not None and not any(self._view.is_peer_namespace(link.netns, nsid, space) for space in spaces):
            return None
        return kind.carrier(kind.read_options(seen, link.netns, self._view), link.netns)

    def _holder(self, netns: str, local: str) -> LinkName | None:
        """The link with an address; not ``lo``, from where routes lead on."""
        for link in self._view.links(netns) if local else ():
            if link.flags & IFF_LOOPBACK:
                continue
            if any(cidr.partition("/")[0] == local for cidr in self._view.addresses(netns, link.index)):
                return LinkName(netns, link.name)
        return None

    def _below(self, carrier: LinkName | None, within: frozenset[LinkName]) -> Segment | None:
        """The segment of what carries a tunnel, where that follows too."""
        end = self.ends.get(carrier) if carrier is not None else None
        if carrier is None or end is None or end.mtu != AUTO or carrier in within:
            return None
        return self.segment(carrier, within)

    def _carries(self, carrier: LinkName | None) -> int | None:
        """The MTU of what carries a tunnel, None if it is not known yet."""
        if carrier is None:
            return ETHERNET
        end, seen = self.ends.get(carrier), self._view.link(*carrier)
        if end is not None and end.mtu is not None:
            return end.mtu if isinstance(end.mtu, int) else None
        if seen is not None:
            return seen.mtu
        return (end.first or None) if end is not None else None

    def _limit(self, link: LinkName) -> int | None:
        """The MTU of one link by itself, None if it follows the others."""
        end, seen = self.ends.get(link), self._view.link(*link)
        if end is not None and isinstance(end.mtu, int):
            return end.mtu
        if end is not None and (end.mtu == AUTO or end.joins == "ports" or self._follows(end)):
            return None
        if seen is None:
            return (end.first or None) if end is not None else None
        return None if joins(seen) == "ports" else seen.mtu

    def _follows(self, end: End) -> bool:
        """Whether the kernel gives it the MTU of its master: a bond's members get that of the bond."""
        if end.master is None:
            return False
        master, seen = self.ends.get(end.master), self._view.link(*end.master)
        known = master.joins if master is not None and not master.foreign else joins(seen) if seen is not None else ""
        return known == "members"

    def present(self, link: LinkName) -> int | None:
        """The MTU that a link has now."""
        seen = self._view.link(*link)
        return None if seen is None else seen.mtu

    def facts(self, link: LinkName) -> Facts:
        """The facts of a link: the same while a declared link is missing for a moment."""
        return tuple(self._above(link)), self._limit(link), self._tunnel(link)
