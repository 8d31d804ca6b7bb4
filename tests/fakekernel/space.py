"""What one fake namespace has: plain values, without the rules by which they change."""

from __future__ import annotations

import errno
import itertools
from dataclasses import dataclass, field, replace

from netd.errors import kernel_error
from netd.model.firewall import ChainRule, Hook
from netd.model.state import Address, FdbEntry, Link, Neighbor, PolicyRule, PortVlan, Qdisc, Route
from netd.model.wireguard import WireguardDevice

#: (namespace by its cookie, index of a link).
LinkId = tuple[int, int]
LOOPBACK = 1
#: Where ``ip netns`` keeps its names.
NAMES = "/run/netns/"


@dataclass
class Chain:
    """A chain of another tool that drops; ``accepted`` are netd's rules in it."""

    family: str
    table: str
    chain: str
    accepted: list[ChainRule] = field(default_factory=list)
    hook: Hook = "forward"
    legacy: bool = False


@dataclass
class Firewall:
    """``own`` None: netd's table is not there. Each of its rules is (chain, text, comment)."""

    own: list[tuple[str, str, str]] | None = None
    chains: list[Chain] = field(default_factory=list)
    handle: int = 100


@dataclass
class FakeNamespace:
    """One network namespace. ``info`` and ``port`` hold the attributes of links, ``fixed`` bridges of a set MTU.

    ``before`` has the MTU and MAC that members of a bond get back.
    Of links that another carries, ``lower`` has its index (0: none), ``outer`` its namespace (the cookie).
    """

    cookie: int
    links: dict[int, Link] = field(default_factory=dict)
    info: dict[int, dict[int, bytes]] = field(default_factory=dict)
    port: dict[int, dict[int, bytes]] = field(default_factory=dict)
    fixed: set[int] = field(default_factory=set)
    before: dict[int, tuple[int, str]] = field(default_factory=dict)
    lower: dict[int, int] = field(default_factory=dict)
    outer: dict[int, int] = field(default_factory=dict)
    addresses: dict[int, dict[str, Address]] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    rules: list[PolicyRule] = field(default_factory=list)
    neighbors: dict[tuple[int, str], Neighbor] = field(default_factory=dict)
    proxies: dict[tuple[int, str], Neighbor] = field(default_factory=dict)
    fdb: dict[int, list[FdbEntry]] = field(default_factory=dict)
    vlans: dict[int, dict[int, PortVlan]] = field(default_factory=dict)
    wireguard: dict[int, WireguardDevice] = field(default_factory=dict)
    vnis: dict[int, set[int]] = field(default_factory=dict)
    qdiscs: dict[int, Qdisc] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    firewall: Firewall = field(default_factory=Firewall)
    indexes: itertools.count[int] = field(default_factory=lambda: itertools.count(LOOPBACK + 1))

    def named(self, name: str) -> Link | None:
        """The link of that name."""
        return next((link for link in self.links.values() if link.name == name), None)

    def at(self, index: int) -> Link:
        """The link of that index; KernelError ENODEV."""
        if index not in self.links:
            raise kernel_error(errno.ENODEV, "")
        return self.links[index]

    def put(self, link: Link, **changes: object) -> Link:
        """Keeps a link, changed."""
        self.links[link.index] = link = replace(link, **changes)  # type: ignore[arg-type]
        return link
