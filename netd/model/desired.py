"""The desired state of the files, and the observed state of the kernel: the two sides of every comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from .firewall import Firewall, Match
from .key import Key, LinkName
from .segment import End
from .state import Address, FdbEntry, Link, Neighbor, PolicyRule, PortVlan, Qdisc, Route
from .wireguard import KeyFile, WireguardDevice


class Hidden:
    """The value of a field for which the kernel shows another value for a while."""

    def __repr__(self) -> str:
        return "hidden"


HIDDEN = Hidden()


class Origin(NamedTuple):
    """A position in the files: the file, and the TOML path in it (``("vxlan", "vxlan0", "vni")``)."""

    file: str
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Desired:
    """One object that the files declare."""

    key: Key
    #: What is compared: only managed fields, values normalized by the kind.
    fields: Mapping[str, Any]
    #: Where it is declared.
    origins: tuple[Origin, ...]
    #: Finds the object when it is no longer declared (JSON values; kept in the ledger).
    locator: Mapping[str, Any] = field(default_factory=dict)
    #: The links that it creates.
    provides: tuple[LinkName, ...] = ()
    #: Links that must exist before it can be built; until then it is pending.
    requires: tuple[LinkName, ...] = ()
    #: Links that must be up as well: while the files, or a fault on purpose, keep one of them down, it is pending.
    needs_up: tuple[LinkName, ...] = ()
    #: Links that should exist; without them it is built reduced, and pending.
    after: tuple[LinkName, ...] = ()
    #: Namespaces that must exist besides its own.
    namespaces: tuple[str, ...] = ()
    #: Links that are only named (NAT's ``out``): checked for typing errors, but not waited for.
    references: tuple[tuple[LinkName, Origin], ...] = ()
    #: The position among all declarations: address translation matches in it.
    order: int = field(default=0, compare=False)
    #: Where a foreign namespace is found (``attach``), "" where netd creates the namespace.
    source: str = ""
    #: Names of what only one object can have at a time (a VNI, an address): an object that is no longer declared makes
    #: room at once.
    claims: tuple[str, ...] = ()
    #: Its links, as the other links of the same layer-2 segment need to know them.
    ends: tuple[End, ...] = ()
    #: Other hosts that are named instead of their addresses, until all files are read.
    hosts: tuple[str, ...] = ()
    #: Packets that must come in for it to work, and that no declared object lets through firewalls.
    required_ingress: tuple[Match, ...] = ()
    #: Of a route without a table in the file: its links, in whose VRF it is, if they are in one.
    routed_on: tuple[LinkName, ...] = ()
    #: Gateways whose link is not written, each with the declared links that lead there: one of them must exist.
    gateways: Mapping[str, Sequence[LinkName]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file that keeps the object: of several, the one that sorts first."""
        return self.origins[0].file


@dataclass(frozen=True, slots=True)
class Observed:
    """One object as the kernel has it."""

    #: Values in the form of ``Desired.fields``; a field that is HIDDEN is neither right nor wrong.
    fields: Mapping[str, Any]
    #: What distinguishes it from another object of the same name (JSON values: a cookie, an index).
    identity: Mapping[str, Any] = field(default_factory=dict)
    #: Whether it has netd's mark.
    marked: bool = False
    #: The object that exists instead of it, in words ("a dummy link").
    conflict: str = ""
    #: Foreign objects that are displaced when netd's is created, as the kind can restore them (JSON values).
    displaced: tuple[str, ...] = ()
    #: An object of netd's next to an object that was deleted, or is no longer declared, in words: removed first.
    residue: str = ""
    #: Whether the link that it is on was renamed by another program.
    renamed_away: bool = False
    #: Whether netd's own object is among them, by its mark or by the ledger; set only if it is changed.
    includes_own: bool = False
    #: What the kind needs to change or delete it.
    handle: Any = None


class View(Protocol):
    """The mirror, as kinds can read it: the kernel's state as last read.

    KernelError where it cannot be read: that is unknown, not absent.
    """

    def cookie(self, netns: str) -> int | None:
        """The identity of a namespace, None if it does not exist."""

    def attached(self, netns: str) -> bool | None:
        """Whether ``ip netns`` knows an attached namespace by its name; None: the name belongs to a foreign entry."""

    def entry(self, netns: str) -> int | None:
        """The identity of the namespace with this name in ``ip netns``, wherever it is found.

        0: a link to the namespace of a process that has ended.
        """

    def exists(self, netns: str) -> bool:
        """Whether the namespace exists (the host always does)."""

    def links(self, netns: str) -> Sequence[Link]:
        """All links of a namespace."""

    def all_routes(self, netns: str) -> Sequence[Route]:
        """The routes of the tables that were asked for, main included: costs what there is."""

    def own_routes(self, netns: str) -> Sequence[Route]:
        """The routes of all tables that have netd's mark."""

    def all_rules(self, netns: str) -> Sequence[PolicyRule]:
        """All policy rules."""

    def link(self, netns: str, name: str) -> Link | None:
        """The link of that name."""

    def link_at(self, netns: str, index: int) -> Link | None:
        """The link of that index."""

    def is_peer_namespace(self, netns: str, nsid: int | None, other: str) -> bool:
        """Whether ``nsid``, as read on a link in ``netns``, is ``other`` (None: ``netns`` itself)."""

    def namespace_of(self, netns: str, nsid: int | None, likely: str) -> str | None:
        """The name of the namespace that ``nsid``, as read on a link in ``netns``, is: ``likely`` where it has several.

        None: no name is known for it.
        """

    def addresses(self, netns: str, index: int) -> Mapping[str, Address]:
        """The addresses of one link: {CIDR: Address}."""

    def connected(self, netns: str, index: int, family: int, table: int = 0) -> Set[str]:
        """The networks of the kernel's own routes on one link, of one family, in a table (0: main)."""

    def routes(self, netns: str, table: int, to: str, metric: int) -> Sequence[Route]:
        """The routes of one identity: none, one, or several."""

    def rules(self, netns: str, family: int, priority: int) -> Sequence[PolicyRule]:
        """The rules of one priority."""

    def neighbor(self, netns: str, index: int, address: str) -> Neighbor | None:
        """A neighbour entry."""

    def proxies(self, netns: str, index: int) -> Mapping[str, Neighbor]:
        """The addresses that a link answers for."""

    def kept_neighbors(self, netns: str, index: int) -> Sequence[Neighbor]:
        """The permanent entries of one link, and proxies; read again each time."""

    def routes_through(self, netns: str, index: int) -> Sequence[Route]:
        """The routes of all tables of which a hop is on one link, but the kernel's own; read again each time."""

    def fdb(self, netns: str, index: int) -> Sequence[FdbEntry]:
        """The entries of a vxlan's own forwarding database."""

    def vlans(self, netns: str, index: int) -> Mapping[int, PortVlan]:
        """The VLANs of a port, or of a bridge itself: {VLAN: PortVlan}."""

    def vnis(self, netns: str, index: int) -> Set[int]:
        """The VNIs that a vxlan with a filter takes."""

    def qdisc(self, netns: str, index: int) -> Qdisc | None:
        """The root queueing discipline of one link; None: the kernel's default."""

    def wireguard(self, netns: str, index: int) -> WireguardDevice | None:
        """The settings of a WireGuard device; read again each time, because there are no events."""

    def key_file(self, path: str) -> KeyFile | None:
        """The digests of the key in a file, None where there is no file; read again each time."""

    def sysctl(self, netns: str, path: str) -> str | None:
        """The value of a key below /proc/sys, words joined by one space; None if there is no such key."""

    def file(self, path: str) -> str | None:
        """The content of a file below /etc/netns, NAMESPACE/NAME; None if there is none, "" for what is no file."""

    def files(self) -> Sequence[str]:
        """The files below /etc/netns of the names that netd writes; read again each time."""

    def firewall(self, netns: str) -> Firewall:
        """netd's nft table, and the base chains of other tools."""
