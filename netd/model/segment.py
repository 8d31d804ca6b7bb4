"""How large the frames of a layer-2 segment may be: what the files say of each link in it."""

from __future__ import annotations

from typing import NamedTuple

from .key import LinkName

#: The MTU of a link that takes what its segment leaves.
AUTO = "auto"
#: ETH_DATA_LEN, include/uapi/linux/if_ether.h: the MTU of a link of which nobody says more.
ETHERNET = 1500
#: What IPv4 needs at least; the kernel takes no less on most links.
LEAST = 68


class Tunnel(NamedTuple):
    """A vxlan's way out: through ``dev``, else from the address ``local`` ("": by the routes).

    ``overhead``: bytes that its headers take of the MTU of what carries it.
    """

    dev: str
    local: str
    overhead: int


class End(NamedTuple):
    """One link, or end of a pair: ``field`` is the one of its object that holds its MTU.

    ``mtu``: bytes, "auto", or None where nothing is written. ``first``: what the kernel gives to a new one, 0 where
    that depends (a bridge follows its ports, a vxlan what carries it) or where netd does not make it (``foreign``).
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
