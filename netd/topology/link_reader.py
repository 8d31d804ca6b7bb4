"""``LinkReader``, from the kernel, through the sessions of a mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netd.engine.observe.mirror import Mirror
from netd.errors import KernelError
from netd.kernel.rtnl import details
from netd.kernel.rtnl.details import Forwarding
from netd.model.state import Neighbor, Route


class KernelLinkReader:
    """What cannot be read is shown as nothing: a link may go at any moment."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def counters(self, netns: str, index: int) -> Mapping[str, int]:
        """The counters of one link."""
        try:
            return details.counters_of(self._mirror.session(netns).rtnl, index)
        except KernelError:
            return {}

    def all_counters(self, netns: str) -> Mapping[int, Mapping[str, int]]:
        """{index: counters} of all links of a namespace."""
        try:
            return details.counters(self._mirror.session(netns).rtnl)
        except KernelError:
            return {}

    def neighbors(self, netns: str, index: int) -> Sequence[Neighbor]:
        """All entries of the neighbor tables, without those of groups."""
        try:
            found = details.neighbors(self._mirror.session(netns).rtnl, index)
        except KernelError:
            return []
        return [one for one in found if not one.state & 0x40]

    def forwarding(self, netns: str, index: int, *, bridge: bool) -> Sequence[Forwarding]:
        """The entries of a forwarding database."""
        try:
            return details.forwarding(self._mirror.session(netns).rtnl, index, bridge=bridge)
        except KernelError:
            return []

    def routes_through(self, netns: str, index: int) -> Sequence[Route]:
        """The routes of all tables with a hop on the link, but the kernel's own."""
        return self._mirror.routes_through(netns, index)
