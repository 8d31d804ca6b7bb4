"""What the files want, and what the kernel has: the two sides of every comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from .firewall import Firewall, Match
from .key import Key, LinkName
from .segment import End
from .state import Address, FdbEntry, Link, Neighbor, Route, Rule


class Hidden:
    """The value of a field that the kernel shows another in the place of, for a while."""

    def __repr__(self) -> str:
        return "hidden"


HIDDEN = Hidden()


class Origin(NamedTuple):
    """Where something is written: the file, and the TOML path in it (``("vxlan", "vxlan0", "vni")``)."""

    file: str
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Desired:
    """One object that the files declare.

    ``fields`` is what is compared: only what is managed, values normalised by the kind. ``data`` is what is needed to
    find the object again when nothing declares it any more (JSON values; kept in the ledger). ``makes`` are the links
    that it brings into being. ``needs`` must be there before it can be built (else it is pending), ``wants`` should be
    (it is built without, and pending). ``namespaces`` are those that must exist besides its own. ``order`` counts the
    declarations: address translation matches in it. ``mentions`` are links that are only named (NAT's ``out``): they
    are checked for typing mistakes and wait for nothing. ``source`` is where a namespace of someone else's is found.
    ``hears`` are packets that must come in for it to work, and that nothing declared lets through firewalls.
    ``claims`` name what only one object can have at a time (a VNI, an address): who no longer declares it makes room at
    once. ``ends`` are its links, as what shares a layer-2 segment with them needs to know them. ``hosts``
    are other machines of which it holds the names instead of the addresses, until all files are read. ``ways`` are
    gateways of which it does not name the link, and the declared links that lead there: one of them must be there.
    """

    key: Key
    fields: Mapping[str, Any]
    origins: tuple[Origin, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    makes: tuple[LinkName, ...] = ()
    needs: tuple[LinkName, ...] = ()
    wants: tuple[LinkName, ...] = ()
    namespaces: tuple[str, ...] = ()
    mentions: tuple[tuple[LinkName, Origin], ...] = ()
    order: int = field(default=0, compare=False)
    source: str = ""
    claims: tuple[str, ...] = ()
    ends: tuple[End, ...] = ()
    hosts: tuple[str, ...] = ()
    hears: tuple[Match, ...] = ()
    ways: Mapping[str, Sequence[LinkName]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file that keeps the object: of several, the one that sorts first."""
        return self.origins[0].file


@dataclass(frozen=True, slots=True)
class Observed:
    """One object as the kernel has it.

    ``identity`` tells it from another of the same name (JSON values: a cookie, an index). ``marked``: it carries
    netd's mark. ``conflict``: what stands in its place is something else, in words ("a dummy link"). ``foreign`` are
    things of others that give way when ours is made, as the kind can put them back (JSON values). ``leftover``: what
    netd had put beside a thing that is gone, or no longer meant: that goes first, in words. ``astray``: it hangs on a
    link that somebody renamed since. ``own``: netd's is among what stands there, by its mark or by the ledger; known
    where it is changed. ``extra`` is what the kind needs to change or delete it. A field that is HIDDEN is neither
    right nor wrong.
    """

    fields: Mapping[str, Any]
    identity: Mapping[str, Any] = field(default_factory=dict)
    marked: bool = False
    conflict: str = ""
    foreign: tuple[str, ...] = ()
    leftover: str = ""
    astray: bool = False
    own: bool = False
    extra: Any = None


class View(Protocol):
    """The mirror, as kinds may read it: the kernel's state as it was last read.

    KernelError where it cannot be read: that is unknown, not absent.
    """

    def cookie(self, netns: str) -> int | None:
        """The identity of a namespace, None where it is not there."""

    def attached(self, netns: str) -> bool | None:
        """Whether ``ip netns`` knows an attached namespace by its name; None: another's entry of that name."""

    def entry(self, netns: str) -> int | None:
        """The identity of what stands under this name in ``ip netns``, wherever the namespace is found.

        0: a link to the namespace of a process that has ended.
        """

    def exists(self, netns: str) -> bool:
        """Whether the namespace is there (the host always is)."""

    def links(self, netns: str) -> Sequence[Link]:
        """All links of a namespace."""

    def all_routes(self, netns: str) -> Sequence[Route]:
        """The routes of the tables that were asked for, main included."""

    def all_rules(self, netns: str) -> Sequence[Rule]:
        """All policy rules."""

    def link(self, netns: str, name: str) -> Link | None:
        """The link of that name."""

    def link_at(self, netns: str, index: int) -> Link | None:
        """The link of that index."""

    def is_peer_namespace(self, netns: str, nsid: int | None, other: str) -> bool:
        """Whether ``nsid``, as read on a link in ``netns``, is ``other`` (None: ``netns`` itself)."""

    def addresses(self, netns: str, index: int) -> Mapping[str, Address]:
        """The addresses of one link: {CIDR: Address}."""

    def connected(self, netns: str, index: int, family: int) -> Set[str]:
        """The networks of the kernel's own routes on one link (table main), of one family."""

    def routes(self, netns: str, table: int, to: str, metric: int) -> Sequence[Route]:
        """The routes of one identity: none, one, or several."""

    def rules(self, netns: str, family: int, priority: int) -> Sequence[Rule]:
        """The rules of one priority."""

    def neighbor(self, netns: str, index: int, address: str) -> Neighbor | None:
        """A neighbour entry."""

    def kept_neighbors(self, netns: str, index: int) -> Sequence[Neighbor]:
        """The permanent entries of one link, and proxies; read anew each time."""

    def routes_through(self, netns: str, index: int) -> Sequence[Route]:
        """The routes of all tables of which a hop is on one link, but the kernel's own; read anew each time."""

    def fdb(self, netns: str, index: int) -> Sequence[FdbEntry]:
        """The entries of a vxlan's own forwarding database."""

    def sysctl(self, netns: str, path: str) -> str | None:
        """The value of a key below /proc/sys, words joined by one space; None where there is no such key."""

    def firewall(self, netns: str) -> Firewall:
        """netd's nft table, and the gates of others."""
