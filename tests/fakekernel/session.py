"""One open fake namespace: the same methods as ``netd.kernel.session.Session``."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection

from netd.errors import KernelError
from netd.kernel.rtnl.wire import RT_TABLE_MAIN, RTPROT_KERNEL, family_of
from netd.kernel.session import leaves_by
from netd.model.state import Address, FdbEntry, Link, Neighbor, PolicyRule, PortVlan, Qdisc, Route
from netd.model.wireguard import WireguardDevice

from . import entries, links
from .machine import FakeMachine
from .space import FakeNamespace

Answer = KernelError | Link | None
IndexOf = Callable[[str, str], int]


class FakeSession:
    """Made by ``FakeKernel.open``."""

    def __init__(self, machine: FakeMachine, netns: str, space: FakeNamespace) -> None:
        self.machine = machine
        self.netns = netns
        self.space = space

    def links(self) -> list[Link]:
        """All links."""
        return [links.shown(self.machine, self.space, link) for link in self.space.links.values()]

    def link(self, index: int) -> Link | None:
        """The link of that index."""
        found = self.space.links.get(index)
        return links.shown(self.machine, self.space, found) if found is not None else None

    def links_at(self, indexes: Collection[int]) -> dict[int, Link]:
        """Those of these links that are there."""
        return {index: link for index in indexes if (link := self.link(index)) is not None}

    def link_named(self, name: str) -> Link | None:
        """The link of that name."""
        found = self.space.named(name)
        return links.shown(self.machine, self.space, found) if found is not None else None

    def addresses(self, index: int = 0) -> list[Address]:
        """The addresses of one link, or of all (0)."""
        found = self.space.addresses
        return [one for at in ([index] if index else list(found)) for one in found.get(at, {}).values()]

    def connected(self, index: int, family: int, table: int = RT_TABLE_MAIN) -> list[Route]:
        """The kernel's own routes of one link, or of all (0), of one family, in one table."""
        own = [one for one in self.routes(table, family) if one.protocol == RTPROT_KERNEL]
        return [one for one in own if not index or any(hop.index == index for hop in one.nexthops)]

    def routes(self, table: int, *families: int) -> list[Route]:
        """One table of these families (none: both)."""
        return [one for one in self.space.routes if one.table == table and (not families or one.family in families)]

    def all_routes(self) -> list[Route]:
        """Those of all tables and both families."""
        return list(self.space.routes)

    def routes_to(self, table: int, to: str) -> list[Route]:
        """Those of one table to one network."""
        return [one for one in self.space.routes if (one.table, one.to) == (table, to)]

    def routes_of(self, protocol: int) -> list[Route]:
        """Those with that mark."""
        return [one for one in self.space.routes if one.protocol == protocol]

    def rules(self) -> list[PolicyRule]:
        """The rules of both families."""
        return sorted(self.space.rules, key=lambda one: (one.family, one.priority))

    def neighbors(self, index: int) -> list[Neighbor]:
        """The permanent entries of one link."""
        return [one for (at, _), one in self.space.neighbors.items() if at == index]

    def kept_neighbors(self, index: int, family: int = socket.AF_UNSPEC) -> list[Neighbor]:
        """The same, and proxies."""
        found = [one for one in self.neighbors(index) if family in (socket.AF_UNSPEC, family_of(one.address))]
        return found + self.proxies(index, family)

    def proxies(self, index: int, family: int = socket.AF_UNSPEC) -> list[Neighbor]:
        """The addresses that one link answers for."""
        found = [one for (at, _), one in self.space.proxies.items() if at == index]
        return [one for one in found if family in (socket.AF_UNSPEC, family_of(one.address))]

    def routes_through(self, index: int, *families: int) -> list[Route]:
        """Of all tables and these families (none: both), but the kernel's own."""
        found = [one for one in self.space.routes if leaves_by(one, index)]
        return [one for one in found if not families or one.family in families]

    def fdb(self, index: int) -> list[FdbEntry]:
        """The static entries with a remote."""
        return [entries.shown(one) for one in self.space.fdb.get(index, [])]

    def vlans(self, index: int) -> dict[int, PortVlan]:
        """The VLANs of one port, or of a bridge itself."""
        return dict(self.space.vlans.get(index, {}))

    def vnis(self, index: int) -> set[int]:
        """The VNIs that a vxlan with a filter takes."""
        return set(self.space.vnis.get(index, set()))

    def qdiscs(self) -> list[Qdisc]:
        """The roots that somebody chose."""
        return list(self.space.qdiscs.values())

    def wireguard(self, index: int) -> WireguardDevice | None:
        """The settings of a WireGuard device."""
        link = self.space.links.get(index)
        return self.space.wireguard.get(index, WireguardDevice()) if link and link.kind == "wireguard" else None

    def sysctl(self, path: str) -> str | None:
        """The value of a key; None where there is none."""
        return self.space.sysctls.get(path)

    def file(self, path: str) -> str | None:
        """The content of a file below /etc/netns."""
        return self.machine.files.get(path)

    def files(self) -> list[str]:
        """All files below /etc/netns."""
        return sorted(self.machine.files)

    def watch_file(self, path: str) -> None:
        """All are watched."""

    def watch_sysctl(self, path: str) -> None:
        """All are watched."""

    def nsid(self, other: str) -> int | None:
        """The number that this namespace knows another by."""
        cookie = self.machine.cookie(other)
        return None if cookie is None else self.machine.number(self.space.cookie, cookie)
