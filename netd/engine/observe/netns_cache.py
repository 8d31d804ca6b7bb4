"""What was read of one namespace, and what of it an event invalidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netd.model.firewall import Firewall
from netd.model.invalidation import Invalidation, WatchKey
from netd.model.state import Address, FdbEntry, Link, Neighbor, PolicyRule, PortVlan, Qdisc

from .route_cache import RouteCache


@dataclass(slots=True)
class NamespaceCache:
    """What was read of one namespace; what was not read yet, or may have changed since, is missing."""

    cookie: int
    links: dict[int, Link] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    links_known: bool = False
    addresses: dict[int, dict[str, Address]] = field(default_factory=dict)
    #: {(link, family): networks}, and the families that were read for all links.
    connected: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    connected_known: set[int] = field(default_factory=set)
    #: {index of a link: {(index, family, table): networks}}, in other tables than main.
    connected_elsewhere: dict[int, dict[tuple[int, int, int], set[str]]] = field(default_factory=dict)
    routes: RouteCache = field(default_factory=RouteCache)
    rules: dict[tuple[int, int], list[PolicyRule]] | None = None
    neighbors: dict[int, dict[str, Neighbor]] = field(default_factory=dict)
    proxies: dict[int, dict[str, Neighbor]] = field(default_factory=dict)
    fdb: dict[int, list[FdbEntry]] = field(default_factory=dict)
    vlans: dict[int, Mapping[int, PortVlan]] = field(default_factory=dict)
    vnis: dict[int, set[int]] = field(default_factory=dict)
    #: Root queueing disciplines that somebody chose; None: not read yet.
    qdiscs: dict[int, Qdisc] | None = None
    sysctls: dict[str, str | None] = field(default_factory=dict)
    #: Files below /etc/netns; of the host only.
    files: dict[str, str | None] = field(default_factory=dict)
    firewall: Firewall | None = None
    peers: dict[int, int] = field(default_factory=dict)

    def drop_link(self, index: int) -> None:
        """The link is gone, and with it all that was read of it."""
        link = self.links.pop(index, None)
        if link is not None and self.names.get(link.name) == index:
            del self.names[link.name]
        self.invalidate_connected(index)
        self.addresses.pop(index, None)
        self.neighbors.pop(index, None)
        self.proxies.pop(index, None)
        self.fdb.pop(index, None)
        self.vlans.pop(index, None)
        self.vnis.pop(index, None)
        if self.qdiscs is not None:
            self.qdiscs.pop(index, None)

    def invalidate_connected(self, index: int) -> None:
        """Drops the kernel's own routes on one link; 0: on all."""
        if not index:
            self.connected.clear()
            self.connected_known.clear()
            self.connected_elsewhere.clear()
            return
        self.connected_elsewhere.pop(index, None)
        for family in self.connected_known:
            self.connected.pop((index, family), None)

    def _drop_proxies(self, index: int) -> None:
        if index:
            self.proxies.pop(index, None)
        else:
            self.proxies.clear()

    def put_link(self, link: Link) -> None:
        """A link as it was just read."""
        old = self.links.get(link.index)
        if old is not None and old.name != link.name and self.names.get(old.name) == link.index:
            del self.names[old.name]
        if old is None or old.master != link.master:
            # A port is in the VLANs of its bridge, at first in the default one.
            self.vlans.pop(link.index, None)
        self.links[link.index] = link
        self.names[link.name] = link.index

    def invalidate_links(self) -> None:
        """Drops all links."""
        self.links_known = False
        self.links.clear()
        self.names.clear()

    def invalidate(self, dirty: Invalidation) -> set[WatchKey]:
        """Drops what an event (other than a link's) says has changed; returns that by name."""
        what, netns = dirty.what, dirty.netns
        if what == "routes":
            self.routes.forget(dirty.family, dirty.path)
            return {WatchKey("routes", netns, dirty.path)}
        if what == "rules":
            self.rules = None
        elif what == "nft":
            self.firewall = None
        elif what == "wireguard":
            # It is read anew each time.
            link = self.links.get(dirty.index)
            return {WatchKey(what, netns, link.name if link else "")}
        elif what == "qdisc":
            self.qdiscs = None
            link = self.links.get(dirty.index)
            return {WatchKey(what, netns, link.name)} if link else set()
        elif what == "files":
            self.files.pop(dirty.path, None)
            return {WatchKey("files", netns, dirty.path)}
        elif what == "sysctl":
            if not dirty.path:
                self.sysctls.clear()
            self.sysctls.pop(dirty.path, None)
            return {WatchKey("sysctl", netns, dirty.path)}
        else:
            tables: dict[str, dict[int, Any]] = {
                "addresses": self.addresses,
                "neighbors": self.neighbors,
                "fdb": self.fdb,
                "vlans": self.vlans,
                "vnis": self.vnis,
            }
            table = tables[what]
            if what == "addresses":
                self.invalidate_connected(dirty.index)
            if what == "neighbors":
                self._drop_proxies(dirty.index)
            if not dirty.index:
                table.clear()
                return {WatchKey(what, netns)}
            table.pop(dirty.index, None)
            link = self.links.get(dirty.index)
            return {WatchKey(what, netns, link.name)} if link else set()
        return {WatchKey(what, netns)}

    def invalidate_link(self, netns: str, index: int, names: Sequence[str]) -> set[WatchKey]:
        """Invalidates what is on a link that was created, deleted, or set down: there are no events for that."""
        self.routes.forget(0)
        self.sysctls = {path: value for path, value in self.sysctls.items() if not set(path.split("/")) & set(names)}
        self.invalidate_connected(index)
        self.addresses.pop(index, None)
        self.neighbors.pop(index, None)
        self.proxies.pop(index, None)
        self.fdb.pop(index, None)
        return {WatchKey("routes", netns)}
