"""Links with ``mtu = "auto"``: the MTU that each is to have now, and which of them an event concerns.

It follows from links without "auto" only, so that what netd writes never changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netd.kinds.link.segment import Segment, Segments
from netd.model.desired import Desired, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.segment import AUTO


class AutoMtu:
    """The links with "auto" of one configuration. A segment is kept until something it was read from changes."""

    def __init__(self, desired: Iterable[Desired], view: View) -> None:
        ends = [(one.key, end) for one in desired for end in one.ends]
        #: The links, each with the object that has it.
        self.keys = {end.link: key for key, end in ends if end.mtu == AUTO}
        self._fields: dict[Key, dict[str, LinkName]] = {}
        for key, end in ends if self.keys else ():
            if end.mtu == AUTO:
                self._fields.setdefault(key, {})[end.field] = end.link
        self._graph = Segments((end for _, end in ends) if self.keys else (), view)
        self._of: dict[LinkName, Segment] = {}
        #: Segments by the links they were read from, by these links' namespaces, and by those searched for addresses.
        self._by_link: dict[LinkName, set[Segment]] = {}
        self._inside: dict[str, set[Segment]] = {}
        self._searching: dict[str, set[Segment]] = {}

    def resolved(self, one: Desired) -> Desired:
        """The object with the MTUs that it is to have now."""
        fields = self._fields.get(one.key)
        if not fields:
            return one
        return replace(one, fields={**one.fields, **{field: self._size(link) for field, link in fields.items()}})

    def invalidate(self) -> None:
        """Drops all segments."""
        self._of.clear()
        self._by_link.clear()
        self._inside.clear()
        self._searching.clear()

    def affected(self, watch_keys: Iterable[WatchKey]) -> set[Key]:
        """The objects that are to have another MTU after these changes."""
        stale = {segment for watch_key in watch_keys for segment in self._touched(watch_key)} if self._of else ()
        before: dict[LinkName, int] = {}
        for segment in stale:
            before |= self._drop(segment)
        return self._changed(before)

    def differing(self, before: AutoMtu) -> set[Key]:
        """The objects that are to have another MTU than under the configuration before."""
        return self._changed({link: segment.size for link, segment in before._of.items() if link in self.keys})

    def _changed(self, before: Mapping[LinkName, int]) -> set[Key]:
        return {self.keys[link] for link, size in before.items() if self._is_other(link, size)}

    def _is_other(self, link: LinkName, size: int) -> bool:
        """Whether a link is to have another MTU now; True also where that cannot be read, so that it is reported."""
        try:
            return self._size(link) != size
        except Exception:
            return True

    def _size(self, link: LinkName) -> int:
        if link not in self._of:
            segment = self._graph.segment(link)
            self._of.update((member, segment) for member in segment.members if member in self.keys)
            for read in segment.facts.keys() | segment.carriers.keys():
                self._by_link.setdefault(read, set()).add(segment)
                self._inside.setdefault(read.netns, set()).add(segment)
            for netns in segment.searched:
                self._searching.setdefault(netns, set()).add(segment)
        return self._of[link].size

    def _drop(self, segment: Segment) -> Mapping[LinkName, int]:
        """Drops a segment; returns its links with "auto", with the MTU they had."""
        for read in segment.facts.keys() | segment.carriers.keys():
            self._by_link[read].discard(segment)
            self._inside[read.netns].discard(segment)
        for netns in segment.searched:
            self._searching[netns].discard(segment)
        links = {link: segment.size for link in segment.members if link in self.keys}
        for link in links:
            self._of.pop(link, None)
        return links

    def _touched(self, watch_key: WatchKey) -> Iterable[Segment]:
        """The segments that may have changed."""
        if watch_key.what == "addresses":
            return self._searching.get(watch_key.netns, ())
        if watch_key.what == "namespace" or (watch_key.what == "link" and not watch_key.name):
            return self._inside.get(watch_key.netns, ())
        if watch_key.what != "link":
            return ()
        try:
            return set(self._reached(LinkName(watch_key.netns, watch_key.name)))
        except Exception:
            return set(self._of.values())

    def _reached(self, link: LinkName) -> Iterator[Segment]:
        """The segments that a link was in, and those it is in now."""
        facts, mtu = self._graph.facts(link), self._graph.present(link)
        known = self._by_link.get(link, ())
        moved = [segment for segment in known if segment.facts.get(link, facts) != facts]
        yield from moved
        yield from (segment for segment in known if segment.carriers.get(link, mtu) != mtu)
        if moved or not any(link in segment.facts for segment in known):
            for other in self._graph.beside(link):
                yield from self._by_link.get(other, ())
