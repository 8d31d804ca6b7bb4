"""What a write invalidates: each operation (``operations``) declares it with the values of this file.

A value takes the operation, and looks up indexes of links by name. A link that is known only by its name (it may have
another index after the write) is a LinkName, everything else an Invalidation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .invalidation import Invalidation, What
from .key import LinkName

#: ``index(netns, name)`` of a link, 0 where none is known.
IndexOf = Callable[[str, str], int]
Stale = Invalidation | LinkName
Effect = Callable[[Any, IndexOf], Iterator[Stale]]


def in_namespace(what: What) -> Effect:
    """All of that sort in the namespace of the operation."""

    def stale(op: Any, _: IndexOf) -> Iterator[Stale]:
        yield Invalidation(what, op.netns)

    return stale


def on_link(what: What) -> Effect:
    """All of that sort on the link of the operation: ``op.index``, or ``op.dev`` where it has none."""

    def stale(op: Any, index: IndexOf) -> Iterator[Stale]:
        yield Invalidation(what, op.netns, getattr(op, "index", 0) or index(op.netns, op.dev))

    return stale


def deleted_link(op: Any, _: IndexOf) -> Iterator[Stale]:
    """The link of that index, and the routes that the kernel deletes with it."""
    yield Invalidation("link", op.netns, op.index)
    yield Invalidation("routes", op.netns)


def named_link(op: Any, _: IndexOf) -> Iterator[Stale]:
    """The link that the operation is on, by its name."""
    yield LinkName(op.netns, op.dev)


def created_link(op: Any, _: IndexOf) -> Iterator[Stale]:
    """The link by its name, where it is created."""
    yield LinkName(op.home, op.name)


def peer_link(op: Any, _: IndexOf) -> Iterator[Stale]:
    """The other end of a veth, if one is created."""
    if op.peer_name:
        yield LinkName(op.peer_netns, op.peer_name)


def set_link(op: Any, index: IndexOf) -> Iterator[Stale]:
    """A link by the index that it has before it is renamed, or moved, and by the name that it has after."""
    number = index(op.netns, op.name)
    if number:
        yield Invalidation("link", op.netns, number)
    if op.settings.up is False:
        # The kernel removes routes and IPv6 addresses, also of VLANs on it, and all may be up again by now.
        yield Invalidation("routes", op.netns)
        yield Invalidation("addresses", op.netns)
    if op.settings.name:
        yield LinkName(op.netns, op.settings.name)


def connected_route(op: Any, index: IndexOf) -> Iterator[Stale]:
    """Of a route that is not netd's (``op.protocol``): a connected route is compared with its address."""
    for hop in op.hops if op.protocol else ():
        yield Invalidation("addresses", op.netns, index(op.netns, hop.dev))


def file(op: Any, _: IndexOf) -> Iterator[Stale]:
    """One file below /etc/netns."""
    yield Invalidation("files", op.netns, path=op.path)


def sysctl(op: Any, _: IndexOf) -> Iterator[Stale]:
    """One key, or all where one changes others (ip_forward resets every conf.*.forwarding)."""
    wide = "/all/" in op.path or "/default/" in op.path or op.path == "net/ipv4/ip_forward"
    yield Invalidation("sysctl", op.netns, path="" if wide else op.path)
