"""Operations on addresses, routes, rules, neighbors, and forwarding entries."""

from __future__ import annotations

from dataclasses import dataclass

from netd.model import effects
from netd.model.marks import ADDRESS_PROTOCOL
from netd.model.state import PolicyRule, Route

from .base import Deletion, Operation, Restoration


@dataclass(frozen=True, slots=True)
class PutAddress(Operation):
    """RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, with IFA_PROTO (``protocol``).

    ``like`` is the address as it was read (ifaddrmsg and attributes), where it is another's: all but ``nodad`` and a
    limited lifetime stays as it is. ``label`` (IPv4) "" is the name of the link. ``deprecated``: its preferred lifetime
    is 0; None: as in ``like``.
    """

    stale = (effects.on_link("addresses"),)
    dev: str
    address: str
    nodad: bool = False
    protocol: int = ADDRESS_PROTOCOL
    like: bytes = b""
    label: str = ""
    deprecated: bool | None = False


@dataclass(frozen=True, slots=True)
class DeleteAddress(Deletion):
    """RTM_DELADDR. ``alone`` (IPv4): keeps other addresses and routes of the link that the kernel would delete.

    ``index`` is that of the link, 0 where only its name is known.
    """

    # With the last address of a link the kernel deletes its routes, without an event for each.
    stale = (effects.on_link("addresses"), effects.in_namespace("routes"))
    dev: str
    address: str
    index: int = 0
    alone: bool = False


@dataclass(frozen=True, slots=True)
class RestoreAddress(Restoration):
    """RTM_NEWADDR of a message as it was read before (``raw``: ifaddrmsg and attributes), on this link."""

    stale = (effects.on_link("addresses"),)
    dev: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop of a route to make: like state.Nexthop, but the link by name."""

    via: str = ""
    dev: str = ""
    weight: int = 1
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class CreateRoute(Operation):
    """RTM_NEWROUTE, NLM_F_CREATE; NLM_F_EXCL as well for IPv4.

    ``table`` is a number, ``type`` one of unicast, blackhole, unreachable, prohibit; ``protocol`` 0 is netd's. Scope:
    link where there is no ``via``, as iproute2 chooses it.
    """

    stale = (effects.in_namespace("routes"), effects.connected_route)
    family: int
    table: int
    to: str
    metric: int
    type: str = "unicast"
    src: str = ""
    mtu: int = 0
    hops: tuple[Hop, ...] = ()
    protocol: int = 0


@dataclass(frozen=True, slots=True)
class DeleteRoute(Deletion):
    """RTM_DELROUTE of exactly this route as it was read."""

    stale = (effects.in_namespace("routes"),)
    route: Route


@dataclass(frozen=True, slots=True)
class RestoreRoute(Restoration):
    """RTM_NEWROUTE of a message as it was read before (``raw``: rtmsg and attributes).

    ``dev``: its link, if that was recreated since, with the former index ``was``.
    """

    stale = (effects.in_namespace("routes"),)
    raw: bytes
    dev: str = ""
    was: int = 0


@dataclass(frozen=True, slots=True)
class CreateRule(Operation):
    """RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, with FRA_PROTOCOL netd."""

    stale = (effects.in_namespace("rules"),)
    rule: PolicyRule


@dataclass(frozen=True, slots=True)
class DeleteRule(Deletion):
    """RTM_DELRULE of exactly this rule as it was read."""

    stale = (effects.in_namespace("rules"),)
    rule: PolicyRule


@dataclass(frozen=True, slots=True)
class RestoreRule(Restoration):
    """RTM_NEWRULE of a message as it was read before."""

    stale = (effects.in_namespace("rules"),)
    raw: bytes


@dataclass(frozen=True, slots=True)
class PutNeighbor(Operation):
    """RTM_NEWNEIGH, NUD_PERMANENT, NLM_F_CREATE | NLM_F_REPLACE, with NDA_PROTOCOL (``protocol``).

    ``proxy``: NTF_PROXY, and no ``mac``.
    """

    stale = (effects.on_link("neighbors"),)
    dev: str
    address: str
    mac: str
    protocol: int = 0
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class RestoreNeighbor(Restoration):
    """RTM_NEWNEIGH of a message as it was read before (``raw``: ndmsg and attributes), on this link."""

    stale = (effects.on_link("neighbors"),)
    dev: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class DeleteNeighbor(Deletion):
    """RTM_DELNEIGH. ``index`` is that of the link, 0 where only its name is known. ``proxy``: NTF_PROXY."""

    stale = (effects.on_link("neighbors"),)
    dev: str
    address: str
    index: int = 0
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class PutFdb(Operation):
    """RTM_NEWNEIGH of AF_BRIDGE with NTF_SELF, NUD_PERMANENT | NUD_NOARP; NLM_F_APPEND for the all-zero MAC and groups.

    ``port`` and ``vni`` 0: the vxlan's own. ``via`` is the link that carries it (NDA_IFINDEX), "" for what routes say.
    ``source`` is the VNI whose frames it is for (NDA_SRC_VNI), of a tunnel with many.
    """

    stale = (effects.on_link("fdb"),)
    dev: str
    mac: str
    dst: str
    port: int = 0
    vni: int = 0
    via: str = ""
    source: int = 0


@dataclass(frozen=True, slots=True)
class DeleteFdb(Deletion):
    """RTM_DELNEIGH of AF_BRIDGE with NTF_SELF. ``via`` and ``index`` (the link's; 0: unknown) are indexes."""

    stale = (effects.on_link("fdb"),)
    dev: str
    mac: str
    dst: str
    port: int = 0
    vni: int = 0
    via: int = 0
    index: int = 0
    source: int = 0
