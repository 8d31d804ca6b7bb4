"""The mirror of the kernel's state. Only reading changes it; an event merely invalidates parts of it.

Everything is kept until ``invalidate`` names it. Within ``reading`` the sockets stay open, so that all reads and writes
in one namespace share one; none is kept longer, because an open socket keeps a deleted namespace alive.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace

from netd.errors import Changed
from netd.kernel.kernel import Kernel
from netd.kinds.link.segment import joins
from netd.model.effects import Stale
from netd.model.invalidation import EVERYTHING, Invalidation, WatchKey
from netd.model.key import HOST, LinkName
from netd.model.state import Link

from .netns_cache import NamespaceCache
from .view import KernelView


class Mirror(KernelView):
    """What was read, and what of it an event, or a write of netd's, has made stale."""

    def __init__(self, kernel: Kernel, *, watch: bool) -> None:
        super().__init__(kernel, watch=watch)
        self._readings = 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Reads and writes inside share sockets; the outermost ``reading`` closes them."""
        self._readings += 1
        try:
            with self.kernel.deferred_closes():
                yield
        finally:
            self._readings -= 1
            if not self._readings:
                if self.sessions.opened:
                    self.sessions.close(*self.sessions.opened)
                # Tried again the next time: what kept it from being read may not announce its end.
                while self._unreadable:
                    self._unreadable.pop().firewall = None

    # invalidating ----------------------------------------------------------------------------------------------

    def events(self) -> list[Invalidation]:
        """What changed since the last time; EVERYTHING if that is unknown. Nothing, where nothing is watched."""
        if not self._watch:
            return []
        try:
            return self.kernel.drain()
        except Exception:
            return [EVERYTHING]

    def invalidate(self, stale: Iterable[Stale]) -> set[WatchKey]:
        """Drops what has changed; links are read again at once. Returns what changed, by name."""
        found: set[WatchKey] = set()
        for one in stale:
            known = self._known.get(one.netns)
            try:
                if isinstance(one, LinkName):
                    found |= self.read_named(*one)
                elif one.what == "everything":
                    found |= self._drop_everything()
                elif one.what == "namespace":
                    found |= self._drop_namespace(one.netns)
                elif known is None:
                    found |= {WatchKey("namespace", one.netns)} if one.netns in self._known else set()
                elif one.what == "link":
                    found |= self._read_link(known, one.netns, one.index)
                else:
                    found |= known.invalidate(one)
            except Exception:
                # Nothing is known of that namespace then; reading it gives the reason.
                found |= self._drop_namespace(one.netns)
        return found

    def _drop_everything(self) -> set[WatchKey]:
        self.sessions.close(*self.sessions.opened)
        self._known.clear()
        return {WatchKey("everything", HOST)}

    def _drop_namespace(self, netns: str) -> set[WatchKey]:
        self._known.pop(netns, None)
        if netns in self.sessions.opened:
            self.sessions.close(netns)
        return {WatchKey("namespace", netns)}

    def missing(self) -> Set[Stale]:
        """Where no namespace was found: where netd has just created one, another may be found."""
        return {Invalidation("namespace", netns) for netns, known in self._known.items() if known is None}

    def _read_link(self, known: NamespaceCache, netns: str, index: int) -> set[WatchKey]:
        if not known.links_known:
            return set()
        if not index:
            known.invalidate_links()
            return {WatchKey("link", netns)}
        old = known.links.get(index)
        try:
            new = self.session(netns).link(index)
        except Changed:
            new = None
        watch_keys = {WatchKey("link", netns, link.name) for link in (old, new) if link is not None}
        if new is None:
            known.drop_link(index)
        else:
            known.put_link(new)
        if old is not None and new is not None and old.name == new.name and old == new:
            return set()
        gone = new is None or old is None or self._is_cycled(known, old, new)
        if gone or (old is not None and new is not None and (old.up, old.name) != (new.up, new.name)):
            # Routes and addresses are deleted with a link, without an event for each.
            watch_keys |= known.invalidate_link(netns, index, [link.name for link in (old, new) if link is not None])
        return watch_keys

    def _is_cycled(self, known: NamespaceCache, old: Link, new: Link) -> bool:
        """Whether the kernel set a link down and up for another master: a bridge alone leaves it as it is."""
        masters = {old.master, new.master} - {0} if old.master != new.master else set()
        return any((link := known.links.get(each)) is None or joins(link) != "ports" for each in masters)

    # learning --------------------------------------------------------------------------------------------------

    def rename(self, netns: str, index: int, name: str) -> None:
        """Keeps the new name of a link that was just renamed, so that the next operation finds it."""
        known = self._known.get(netns)
        link = known.links.get(index) if known else None
        if known is not None and link is not None:
            known.put_link(replace(link, name=name))

    def learn(self, netns: str, link: Link) -> None:
        """Keeps a link that the kernel just answered with."""
        known = self._netns(netns)
        if known is not None:
            known.put_link(link)

    def learn_peer(self, netns: str, nsid: int | None, other: str) -> None:
        """Keeps the nsid of another namespace that the kernel just answered with."""
        known, cookie = self._netns(netns), self.cookie(other)
        if known is not None and cookie is not None and nsid is not None:
            known.peers[cookie] = nsid

    def read_named(self, netns: str, name: str) -> set[WatchKey]:
        """Reads the link of that name again, whatever its index is now."""
        known = self._known.get(netns)
        if known is None or not known.links_known:
            return set()
        old = known.names.get(name, 0)
        try:
            link = self.session(netns).link_named(name)
        except Changed:
            link = None
        watch_keys = self._read_link(known, netns, old) if old else set()
        if link is not None and link.index != old:
            known.put_link(link)
            watch_keys |= {WatchKey("link", netns, name)} | known.invalidate_link(netns, link.index, [name])
        return watch_keys
