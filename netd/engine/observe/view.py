"""The kernel's state as kinds read it: everything is read when it is first asked for, and kept.

What cannot be read is unknown, not absent: reading raises KernelError. Only what the kernel says does not exist
(``Changed``: the namespace, the link or the table was just deleted) reads as nothing.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import TypeVar

from netd.errors import Changed
from netd.kernel.kernel import Kernel
from netd.kernel.rtnl.wire import family_of
from netd.kernel.session import Session
from netd.model.firewall import Firewall
from netd.model.invalidation import ANY_ROUTE, route_name
from netd.model.key import HOST
from netd.model.marks import PROTOCOL
from netd.model.state import Address, FdbEntry, Link, Neighbor, PolicyRule, PortVlan, Qdisc, Route
from netd.model.wireguard import KeyFile, WireguardDevice

from .netns_cache import NamespaceCache
from .session_pool import SessionPool

#: RT_TABLE_MAIN.
MAIN = ((254, socket.AF_INET), (254, socket.AF_INET6))
Value = TypeVar("Value")


def there(read: Callable[[], Sequence[Value]]) -> Sequence[Value]:
    """What is read; nothing where the kernel says that what it was to be read from is not there."""
    try:
        return read()
    except Changed:
        return ()


class KernelView:
    """``watch``: namespaces and sysctls are watched before they are read, so that no change is missed in between."""

    def __init__(self, kernel: Kernel, *, watch: bool) -> None:
        self.kernel = kernel
        self.sessions = SessionPool(kernel)
        self._watch = watch
        self._known: dict[str, NamespaceCache | None] = {}
        #: Those of which the firewall could not be read.
        self._unreadable: list[NamespaceCache] = []

    def session(self, netns: str) -> Session:
        """The session in a namespace, for reading and writing; KernelError."""
        return self.sessions.opened.get(netns) or self.sessions.open(netns)

    def _netns(self, netns: str) -> NamespaceCache | None:
        if netns not in self._known:
            cookie = self.kernel.cookie(netns)
            if cookie is not None and self._watch:
                try:
                    self.kernel.watch(netns, cookie)
                except Changed:
                    cookie = None
            self._known[netns] = None if cookie is None else NamespaceCache(cookie)
        return self._known[netns]

    def _with_links(self, netns: str) -> NamespaceCache | None:
        known = self._netns(netns)
        if known is not None and not known.links_known:
            try:
                for link in self.session(netns).links():
                    known.put_link(link)
            except Changed:
                return None
            known.links_known = True
        return known

    def exists(self, netns: str) -> bool:
        return self._netns(netns) is not None

    def cookie(self, netns: str) -> int | None:
        known = self._netns(netns)
        return None if known is None else known.cookie

    def attached(self, netns: str) -> bool | None:
        return self.kernel.attached(netns)

    def entry(self, netns: str) -> int | None:
        return self.kernel.entry(netns)

    def link(self, netns: str, name: str) -> Link | None:
        known = self._with_links(netns)
        index = known.names.get(name) if known else None
        return known.links.get(index) if known and index is not None else None

    def link_at(self, netns: str, index: int) -> Link | None:
        known = self._with_links(netns)
        return known.links.get(index) if known else None

    def links(self, netns: str) -> Sequence[Link]:
        known = self._with_links(netns)
        return tuple(known.links.values()) if known else ()

    def index(self, netns: str, name: str) -> int:
        """The index of a link by name, 0 where none is known. Operations ask for it when they are sent."""
        known = self._known.get(netns)
        if known is not None and name in known.names:
            return known.names[name]
        try:
            link = self.link(netns, name)
        except Exception:
            return 0
        return link.index if link else 0

    def is_peer_namespace(self, netns: str, nsid: int | None, other: str) -> bool:
        if nsid is None:
            return netns == other or self.cookie(netns) == self.cookie(other)
        known, cookie = self._netns(netns), self.cookie(other)
        if known is None or cookie is None:
            return False
        # By cookie: the next namespace of that name has another nsid.
        if cookie not in known.peers:
            try:
                found = self.session(netns).nsid(other)
            except Changed:
                return False
            if found is None:
                return False
            known.peers[cookie] = found
        return known.peers[cookie] == nsid

    def namespace_of(self, netns: str, nsid: int | None, likely: str) -> str | None:
        if nsid is None:
            return netns
        for other in dict.fromkeys((likely, HOST, *self._known)):
            if self.is_peer_namespace(netns, nsid, other):
                return other
        # Undeclared ones are not watched, and so not cached.
        with contextlib.suppress(Changed):
            for other in self.kernel.names():
                if other not in self._known and self.session(netns).nsid(other) == nsid:
                    return other
        return None

    def addresses(self, netns: str, index: int) -> Mapping[str, Address]:
        known = self._netns(netns)
        if known is None:
            return {}
        if index not in known.addresses:
            # The first time those of all links are read, later those of one.
            everything = not known.addresses
            try:
                found = self.session(netns).addresses(0 if everything else index)
            except Changed:
                return {}
            if everything:
                for link in known.links:
                    known.addresses.setdefault(link, {})
            known.addresses.setdefault(index, {})
            for address in found:
                known.addresses.setdefault(address.index, {})[address.address] = address
        return known.addresses[index]

    def connected(self, netns: str, index: int, family: int, table: int = 0) -> Set[str]:
        known = self._netns(netns)
        if known is None:
            return set()
        if table:
            return self._connected_in(known, netns, (index, family, table))
        if (index, family) not in known.connected:
            # As with addresses: of all links at first, then of one.
            everything = family not in known.connected_known
            try:
                found = self.session(netns).connected(0 if everything else index, family)
            except Changed:
                return set()
            for link in known.links if everything else (index,):
                known.connected[link, family] = set()
            known.connected.setdefault((index, family), set())
            known.connected_known.add(family)
            for route in found:
                for hop in route.nexthops:
                    known.connected.setdefault((hop.index, family), set()).add(route.to)
        return known.connected[index, family]

    def wireguard(self, netns: str, index: int) -> WireguardDevice | None:
        try:
            return self.session(netns).wireguard(index)
        except Changed:
            return None

    def key_file(self, path: str) -> KeyFile | None:
        return self.kernel.key_file(path)

    def _connected_in(self, known: NamespaceCache, netns: str, place: tuple[int, int, int]) -> Set[str]:
        """Of another table than main: of one link."""
        found = known.connected_elsewhere.setdefault(place[0], {})
        if place not in found:
            try:
                found[place] = {route.to for route in self.session(netns).connected(*place)}
            except Changed:
                return set()
        return found[place]

    def routes(self, netns: str, table: int, to: str, metric: int) -> Sequence[Route]:
        known = self._netns(netns)
        if known is None:
            return ()
        family = family_of(to)
        # Before it is read: its events count from now on.
        self.kernel.followed_routes(netns, family).add(route_name(table, to, metric))
        return there(lambda: known.routes.get(table, family, (to, metric), partial(self._read_routes, netns)))

    def _read_routes(self, netns: str, table: int, family: int, identity: tuple[str, int] | None) -> Iterable[Route]:
        session = self.session(netns)
        return session.routes(table, family) if identity is None else session.routes_to(table, identity[0])

    def all_routes(self, netns: str) -> Sequence[Route]:
        known = self._netns(netns)
        if known is None:
            return ()
        for _, family in MAIN:
            self.kernel.followed_routes(netns, family).add(ANY_ROUTE)
        return there(lambda: known.routes.all(MAIN, partial(self._read_routes, netns)))

    def own_routes(self, netns: str) -> Sequence[Route]:
        return there(lambda: self.session(netns).routes_of(PROTOCOL)) if self.exists(netns) else ()

    def rules(self, netns: str, family: int, priority: int) -> Sequence[PolicyRule]:
        return self._all_rules(netns).get((family, priority), ())

    def all_rules(self, netns: str) -> Sequence[PolicyRule]:
        return [rule for found in self._all_rules(netns).values() for rule in found]

    def _all_rules(self, netns: str) -> Mapping[tuple[int, int], Sequence[PolicyRule]]:
        known = self._netns(netns)
        if known is None:
            return {}
        if known.rules is None:
            found: dict[tuple[int, int], list[PolicyRule]] = {}
            try:
                for rule in self.session(netns).rules():
                    found.setdefault((rule.family, rule.priority), []).append(rule)
            except Changed:
                return {}
            known.rules = found
        return known.rules

    def neighbor(self, netns: str, index: int, address: str) -> Neighbor | None:
        known = self._netns(netns)
        if known is None:
            return None
        if index not in known.neighbors:
            try:
                found = self.session(netns).neighbors(index)
            except Changed:
                return None
            known.neighbors[index] = {neighbor.address: neighbor for neighbor in found}
        return known.neighbors[index].get(address)

    def proxies(self, netns: str, index: int) -> Mapping[str, Neighbor]:
        known = self._netns(netns)
        if known is None:
            return {}
        if index not in known.proxies:
            found = there(lambda: self.session(netns).proxies(index))
            known.proxies[index] = {neighbor.address: neighbor for neighbor in found}
        return known.proxies[index]

    def kept_neighbors(self, netns: str, index: int) -> Sequence[Neighbor]:
        return there(lambda: self.session(netns).kept_neighbors(index))

    def routes_through(self, netns: str, index: int) -> Sequence[Route]:
        return there(lambda: self.session(netns).routes_through(index))

    def fdb(self, netns: str, index: int) -> Sequence[FdbEntry]:
        known = self._netns(netns)
        if known is None:
            return ()
        if index not in known.fdb:
            try:
                known.fdb[index] = list(self.session(netns).fdb(index))
            except Changed:
                return ()
        return known.fdb[index]

    def vlans(self, netns: str, index: int) -> Mapping[int, PortVlan]:
        known = self._netns(netns)
        if known is None:
            return {}
        if index not in known.vlans:
            try:
                known.vlans[index] = self.session(netns).vlans(index)
            except Changed:
                return {}
        return known.vlans[index]

    def vnis(self, netns: str, index: int) -> Set[int]:
        known = self._netns(netns)
        if known is None:
            return set()
        if index not in known.vnis:
            try:
                known.vnis[index] = self.session(netns).vnis(index)
            except Changed:
                return set()
        return known.vnis[index]

    def qdisc(self, netns: str, index: int) -> Qdisc | None:
        known = self._netns(netns)
        if known is None:
            return None
        if known.qdiscs is None:
            # The kernel has no way to ask for those of one link only.
            known.qdiscs = {one.index: one for one in there(lambda: self.session(netns).qdiscs())}
        return known.qdiscs.get(index)

    def sysctl(self, netns: str, path: str) -> str | None:
        known = self._netns(netns)
        if known is None:
            return None
        if path not in known.sysctls:
            try:
                session = self.session(netns)
            except Changed:
                return None
            if self._watch:
                session.watch_sysctl(path)
            known.sysctls[path] = session.sysctl(path)
        return known.sysctls[path]

    def file(self, path: str) -> str | None:
        known = self._netns(HOST)
        if known is None:
            return None
        if path not in known.files:
            session = self.session(HOST)
            if self._watch:
                session.watch_file(path)
            known.files[path] = session.file(path)
        return known.files[path]

    def files(self) -> Sequence[str]:
        return self.session(HOST).files()

    def firewall(self, netns: str) -> Firewall:
        known = self._netns(netns)
        if known is None:
            return Firewall()
        if known.firewall is None:
            try:
                known.firewall = self.kernel.firewall(netns)
                if known.firewall.unreadable:
                    self._unreadable.append(known)
            except Changed:
                return Firewall()
        return known.firewall
