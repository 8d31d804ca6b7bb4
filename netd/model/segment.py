"""How large the frames of a layer-2 segment may be: what the files say of each link in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from .key import LinkName
from .state import Address, Link

#: The MTU of a link that takes what its segment leaves.
AUTO = "auto"
#: ETH_DATA_LEN, include/uapi/linux/if_ether.h: the MTU of a link of which nobody says more.
ETHERNET = 1500
#: What IPv4 needs at least; the kernel takes no less on most links.
LEAST = 68


class Tunnel(NamedTuple):
    """What carries a link: the link ``dev``, else the one with the address ``local`` ("": by the routes), in ``netns``.

    ``overhead``: bytes that its headers take of the MTU of what carries it; None: the addresses of hosts will tell.
    """

    dev: str
    local: str
    overhead: int | None
    netns: str


class End(NamedTuple):
    """One link, or end of a pair: ``field`` is the one of its object that holds its MTU.

    ``mtu``: bytes, "auto", or None where nothing is written. ``first``: what the kernel gives to a new one, 0 where
    that depends (a bridge follows its ports, a tunnel what carries it) or where netd does not make it (``foreign``).
    """

    link: LinkName
    field: str
    mtu: int | str | None
    master: LinkName | None
    peer: LinkName | None = None
    tunnel: Tunnel | None = None
    first: int = 0
    foreign: bool = False
    bridge: bool = False


class Links(Protocol):
    """What of the mirror (``View``) shows how links hang together."""

    def link(self, netns: str, name: str) -> Link | None: ...

    def link_at(self, netns: str, index: int) -> Link | None: ...

    def links(self, netns: str) -> Sequence[Link]: ...

    def addresses(self, netns: str, index: int) -> Mapping[str, Address]: ...

    def is_peer_namespace(self, netns: str, nsid: int | None, other: str) -> bool: ...

    def namespace_of(self, netns: str, nsid: int | None, likely: str) -> str | None: ...
