"""What must be read again: the only information in an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

What = Literal[
    "everything",
    "namespace",
    "link",
    "addresses",
    "routes",
    "rules",
    "neighbors",
    "fdb",
    "vlans",
    "vnis",
    "qdisc",
    "sysctl",
    "nft",
    "files",
    "wireguard",
]


@dataclass(frozen=True, slots=True)
class Invalidation:
    """``index`` is that of the link for link, addresses, neighbors, fdb, vlans, vnis, qdisc, wireguard; 0 means all.

    "namespace" is everything in one namespace, its existence included; "everything" is every namespace.
    ``path`` narrows "sysctl" to one key below /proc/sys, and "routes" of one ``family`` (AF_INET, AF_INET6) to one of
    them (``route_name``). "files" are those below /etc/netns, by ``path``, and belong to the host.
    """

    what: What
    netns: str = ""
    index: int = 0
    path: str = ""
    family: int = 0


EVERYTHING = Invalidation("everything")
#: The name that means all routes.
ANY_ROUTE = "*"


def route_name(table: int, to: str, metric: int) -> str:
    """One route, in ``path`` of an invalidation and ``name`` of a watch key."""
    return f"{table} {to} {metric}"


class WatchKey(NamedTuple):
    """A part of the kernel that an object is read from. When it changes, the object is evaluated. ``name`` "": all."""

    what: What
    netns: str
    name: str = ""
