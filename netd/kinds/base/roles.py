"""Interfaces that only some kinds have: a kind has these among its base classes."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal, NamedTuple

from netd.errors import KernelError
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.state import Link
from netd.model.status import Unusable


class NamesHosts(abc.ABC):
    """Kinds that can refer to other machines ("host:NAME") instead of their addresses."""

    @abc.abstractmethod
    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        """``desired`` with the ``addresses`` of its ``hosts``; None: it concerns none of them.

        ``own`` is the address of this machine. ValueError where they do not fit together.
        """


class Distinguished(abc.ABC):
    """Kinds of which several tables can declare objects of one name."""

    @abc.abstractmethod
    def distinguish(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        """The declared objects of all namespaces, in their order, each under a name of its own."""


class BecomesUsable:
    """Kinds whose objects can be as declared but not usable yet, or wait for such an object."""

    def unusable(self, desired: Desired, observed: Observed, view: View) -> Unusable | None:
        """Why it is not usable although it is as declared; None if it is."""
        return None

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        """What it waits for, if the kernel refuses it only until something else is usable; None: another reason.

        ``error`` is the kernel's answer.
        """
        return None


class RoutesMembers(abc.ABC):
    """Kinds of links that route what arrives at their members by a table of their own."""

    @abc.abstractmethod
    def member_table(self, master: Link) -> int:
        """The routing table of the members of a link of this kind."""


class GovernsMembers(abc.ABC):
    """Kinds of links that set fields of their members, which are then no file's."""

    @abc.abstractmethod
    def hidden_of_members(self, master: Link) -> Set[str]:
        """These fields of the members of a link of this kind."""


class KeepsAttributes(abc.ABC):
    """netd keeps more fields of these than the files declare: those that decide where packets go."""

    @abc.abstractmethod
    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fields that are kept although they are not declared; ``memory`` is the ledger's."""


class Diagnosed(abc.ABC):
    """Kinds that check something beyond their objects, which can be wrong while these are as declared."""

    @abc.abstractmethod
    def diagnosis(self, desired: Desired, view: View) -> str:
        """The warning; "" for none."""


class Announced(abc.ABC):
    """Kinds that are announced to the machines of their segment."""

    @abc.abstractmethod
    def announced(self, key: Key) -> tuple[LinkName, str] | None:
        """The link and the address that are announced once it is usable; None: no announcement."""


class AddressOnLink(abc.ABC):
    """Kinds of addresses on a link: its own, and those of its neighbors."""

    @abc.abstractmethod
    def address_on(self, key: Key) -> tuple[LinkName, str]:
        """The link, and the address as the object's name has it."""


class AssignedAddress(AddressOnLink):
    """Kinds of a link's own addresses, each with its prefix length."""


class NextHop(NamedTuple):
    """Where a route leads: a gateway ("": none), a link's name ("": that on which the gateway is)."""

    via: str
    dev: str


class Routing(NamedTuple):
    """What a route says. ``to`` is a network in CIDR notation; ``onlink``: its gateways need no network of the link."""

    to: str
    metric: int
    hops: Sequence[NextHop]
    onlink: bool


class RoutesPackets(abc.ABC):
    """Kinds that say where packets to a network are sent."""

    @abc.abstractmethod
    def routing(self, desired: Desired) -> Routing:
        """What it says."""

    @abc.abstractmethod
    def in_table(self, desired: Desired, table: int) -> Desired:
        """The same in another routing table."""


class NeedsForwarding(abc.ABC):
    """Kinds that have no effect on a machine that does not forward packets."""

    @abc.abstractmethod
    def forwarded(self, key: Key) -> Sequence[Literal["ip", "ip6"]]:
        """The families that it concerns."""


class Diversion(NamedTuple):
    """Packets that another machine gets instead. ``ports`` are these and all between; ``destination`` "": any."""

    protocol: str
    ports: tuple[int, int]
    destination: str
    to: str


class DivertsPackets(abc.ABC):
    """Kinds that send packets to this machine to another one instead."""

    @abc.abstractmethod
    def diversion(self, desired: Desired) -> Diversion | None:
        """Which packets; None: none."""


class OfBridge:
    """Kinds whose objects are something of a bridge: the last link that one of them requires is that bridge."""


class SeesAll(abc.ABC):
    """Kinds whose objects depend on what all files declare."""

    @abc.abstractmethod
    def completed(self, own: Sequence[Desired], everything: Mapping[Key, Desired]) -> Mapping[Key, Desired]:
        """Those of its objects (``own``) that are otherwise once all files are read."""
