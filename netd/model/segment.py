"""The frame size of a layer-2 segment: what the files declare for each link in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from .key import LinkName
from .state import Address, Link

#: The MTU of a link that follows its segment.
AUTO = "auto"
#: ETH_DATA_LEN, include/uapi/linux/if_ether.h: the MTU of a link without any other setting.
ETHERNET = 1500
#: Which other links are in the segment of a link by itself: ports that it follows in size (a bridge), members that
#: follow it (a bond), its other end (a pair), or none.
Joins = Literal["", "ports", "members", "other end"]
#: The minimum of IPv4; the kernel accepts no less on most links.
LEAST = 68


class Tunnel(NamedTuple):
    """The lower link of a link: ``dev``, else the one with the address ``local`` ("": by the routes), in ``netns``.

    ``overhead``: bytes that its headers take of the MTU of what carries it; None: not known yet. ``by_route``: without
    ``dev``, the kernel takes its first MTU from the route to the remote.
    """

    dev: str
    local: str
    overhead: int | None
    netns: str
    by_route: bool = False


class End(NamedTuple):
    """One link, or end of a pair: ``field`` is the one of its object that holds its MTU.

    ``mtu``: bytes, "auto", or None where nothing is written. ``first``: what the kernel gives to a new one, 0 where
    that depends (a bridge follows its ports, a tunnel its lower link) or netd does not create it (``foreign``).
    ``joins``: which other links are in the same segment by it. ``takes_members``: other links can have it as master.
    ``table``: the routing table of these, if they do not use the usual ones.
    """

    link: LinkName
    field: str
    mtu: int | str | None
    master: LinkName | None
    peer: LinkName | None = None
    tunnel: Tunnel | None = None
    first: int = 0
    foreign: bool = False
    joins: Joins = ""
    takes_members: bool = False
    table: int = 0

    @property
    def up_field(self) -> str:
        """The field of its object that says whether it is up."""
        return self.field.removesuffix("mtu") + "up"


class Links(Protocol):
    """The part of the mirror (``View``) that shows how links are connected."""

    def link(self, netns: str, name: str) -> Link | None: ...

    def link_at(self, netns: str, index: int) -> Link | None: ...

    def links(self, netns: str) -> Sequence[Link]: ...

    def addresses(self, netns: str, index: int) -> Mapping[str, Address]: ...

    def is_peer_namespace(self, netns: str, nsid: int | None, other: str) -> bool: ...

    def namespace_of(self, netns: str, nsid: int | None, likely: str) -> str | None: ...
