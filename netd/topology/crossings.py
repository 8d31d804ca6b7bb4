"""Which namespace a link's other side is in: the kernel names it by a number that only the link's own namespace knows.

A number is compared with namespaces that are likely first: the ends of a pair point at each other by their indexes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from netd.model.desired import View
from netd.model.key import HOST
from netd.model.state import Link

#: Two links of one kind that point at each other: (kind, index, index of the other).
Pointer = tuple[str, int, int]


class Crossings:
    """``namespaces``: those that can be the answer. Each answer is kept."""

    def __init__(self, view: View, namespaces: Sequence[str]) -> None:
        self._view = view
        self._namespaces = namespaces
        self._known: dict[str, dict[int, str | None]] = {}
        self._pointers: dict[Pointer, list[str]] | None = None

    def namespace_of(self, netns: str, nsid: int | None, likely: Iterable[str] = ()) -> str | None:
        """The namespace that ``netns`` knows by this number (None: itself). None: it has no known name."""
        if nsid is None:
            return netns
        known = self._known.setdefault(netns, {})
        if nsid not in known:
            known[nsid] = self._search(netns, nsid, likely, known.values())
        return known[nsid]

    def _search(self, netns: str, nsid: int, likely: Iterable[str], others: Collection[str | None]) -> str | None:
        """``others``: namespaces with another number."""
        excluded = set(others)
        for candidate in dict.fromkeys((*likely, HOST, *self._namespaces)):
            if candidate not in excluded and self._view.is_peer_namespace(netns, nsid, candidate):
                return candidate
        return None

    def behind(self, netns: str, link: Link) -> str | None:
        """The namespace of the link that this one points at (its other end, or what carries it)."""
        return self.namespace_of(netns, link.link_netnsid, self._pointing_back(netns, link))

    def _pointing_back(self, netns: str, link: Link) -> Sequence[str]:
        if self._pointers is None:
            self._pointers = {}
            for other in self._namespaces:
                for each in self._view.links(other):
                    if each.link:
                        self._pointers.setdefault((each.kind, each.index, each.link), []).append(other)
        return self._pointers.get((link.kind, link.link, link.index), ())
