"""The operations on the kernel: values, not calls. ``kernel`` executes them; the fake kernel of the tests, too.

Links are named, not numbered: their index is looked up when the operation is sent, because an earlier one may have
made the link. Every operation names the namespace it works in ("" is the host).

A new operation is a class here, with what it makes stale, and an encoder in ``kernel.rtnl.encode``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from . import effects
from .firewall import Match
from .flows import Translation
from .key import LinkName
from .marks import ADDRESS_PROTOCOL
from .state import PolicyRule, Route
from .wireguard import PeerSettings, Secret


@dataclass(frozen=True, slots=True)
class Operation:
    """The base class of all operations. ``stale``: what one invalidates."""

    netns: str
    stale: ClassVar[tuple[effects.Effect, ...]] = ()


@dataclass(frozen=True, slots=True)
class NamespaceOperation(Operation):
    """Creates or deletes a namespace, or its name: sent alone, from the host."""

    stale = (effects.in_namespace("namespace"),)


@dataclass(frozen=True, slots=True)
class Deletion(Operation):
    """Deletes an object: also successful if it does not exist any more."""


@dataclass(frozen=True, slots=True)
class Restoration(Operation):
    """Writes a foreign object as it was read before: dropped if the kernel does not accept it any more."""


@dataclass(frozen=True, slots=True)
class CreateNamespace(NamespaceOperation):
    """A named namespace (unshare and bind mount under /run/netns, O_EXCL). ``lo`` goes up in it.

    ``ipv6`` False writes net.ipv6.conf.all.disable_ipv6 before anything else is created in it.
    """

    ipv6: bool = True


@dataclass(frozen=True, slots=True)
class DeleteNamespace(NamespaceOperation):
    """Unmounts and unlinks the name, if it still is the namespace of that ``cookie`` (SO_NETNS_COOKIE)."""

    cookie: int = 0


@dataclass(frozen=True, slots=True)
class AttachNamespace(NamespaceOperation):
    """Gives the namespace at the attach target the name ``netns`` in ``ip netns``."""


@dataclass(frozen=True, slots=True)
class DetachNamespace(NamespaceOperation):
    """Removes the entry under /run/netns that AttachNamespace created (a link, or a bind mount of ``cookie``)."""

    cookie: int = 0


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The settings of one end of a link; None: unchanged.

    ``master`` is a link name in the same namespace, "" for none. ``info`` is IFLA_INFO_DATA and ``port``
    IFLA_INFO_SLAVE_DATA of a bridge port, each {attribute: payload}. ``name`` renames, ``netns`` moves.
    """

    mtu: int | None = None
    mac: str | None = None
    up: bool | None = None
    master: str | None = None
    group: int | None = None
    alias: str | None = None
    name: str | None = None
    netns: str | None = None
    info: Mapping[int, bytes] = field(default_factory=dict)
    port: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreateLink(Operation):
    """RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO. The answer is the Link as made.

    With ``settings.netns`` the link is made in that namespace at once, and stays bound to ``netns``: a tunnel sends its
    outer packets there. The kernel sends no echo then, so the answer is None; ``settings`` has no ``alias`` and no
    ``port``. ``moved``: the kernel binds such a link to the namespace that it is created in, so it is created in
    ``netns`` under another name, and moved. ``dev`` is the lower link, in ``netns``: IFLA_LINK, or where ``dev_option``
    is not 0 that attribute of IFLA_INFO_DATA. For a pair ``peer_name``, ``peer_netns`` and ``peer`` describe the other
    end (never ``up`` there: ENOTCONN).
    """

    stale = (effects.created_link, effects.peer_link)
    name: str
    kind: str
    settings: LinkSettings
    dev: str = ""
    peer_name: str = ""
    peer_netns: str = ""
    peer: LinkSettings | None = None
    dev_option: int = 0
    moved: bool = False

    @property
    def home(self) -> str:
        """The namespace that the link is in once it is made."""
        return self.netns if self.settings.netns is None else self.settings.netns


@dataclass(frozen=True, slots=True)
class SetLink(Operation):
    """Changes a link in place. ``kind`` is needed when ``settings.info`` is not empty, or ``dev_option`` not 0.

    ``dev``: another lower link, for the attribute ``dev_option`` of IFLA_INFO_DATA. If it moves to another namespace
    (``settings.netns``), the other settings apply there, ``master`` too. A bond takes only members that are down: a
    link that is up is set down before, if the kernel asks for it.
    """

    stale = (effects.set_link,)
    name: str
    settings: LinkSettings
    kind: str = ""
    dev: LinkName | None = None
    dev_option: int = 0


@dataclass(frozen=True, slots=True)
class RestorePort(Restoration):
    """Makes a link a port of a bridge again, with settings that it had (``port``: IFLA_BRPORT_*, as they were read)."""

    stale = (effects.named_link,)
    dev: str
    master: str
    port: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class DeleteLink(Deletion):
    """RTM_DELLINK of one index.

    ``elsewhere``: it occupies something in another namespace (a VNI): its own namespace, deleted, frees that too late.
    """

    stale = (effects.deleted_link,)
    index: int
    elsewhere: bool = False


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


@dataclass(frozen=True, slots=True)
class PutQdisc(Operation):
    """RTM_NEWQDISC of a link's root: changed where it has that handle, else put in the place of the default.

    ``options`` is TCA_OPTIONS.
    """

    stale = (effects.on_link("qdisc"),)
    dev: str
    kind: str
    handle: int
    options: bytes


@dataclass(frozen=True, slots=True)
class DeleteQdisc(Deletion):
    """RTM_DELQDISC of a link's root, if it has that handle; ``index`` is the link's, 0 where only its name is known."""

    stale = (effects.on_link("qdisc"),)
    dev: str
    handle: int
    index: int = 0


class VlanRange(NamedTuple):
    """VLANs from ``first`` to ``last`` with these flags (BRIDGE_VLAN_INFO_*)."""

    first: int
    last: int
    flags: int


@dataclass(frozen=True, slots=True)
class SetVlans(Operation):
    """RTM_SETLINK and RTM_DELLINK of AF_BRIDGE: a port is added to some VLANs, and removed from others.

    ``own``: they are those of a bridge itself. ``tunnels`` (VLAN, VNI) are set, those of the VLANs ``dropped`` removed
    before that.
    """

    stale = (effects.on_link("vlans"),)
    dev: str
    add: tuple[VlanRange, ...] = ()
    remove: tuple[tuple[int, int], ...] = ()
    own: bool = False
    tunnels: tuple[tuple[int, int], ...] = ()
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SetWireguard(Operation):
    """WG_CMD_SET_DEVICE. None and "": unchanged. A ``private_key_file`` that does not exist is created."""

    stale = (effects.on_link("wireguard"),)
    dev: str
    private_key: Secret | None = None
    private_key_file: str = ""
    listen_port: int | None = None
    fwmark: int | None = None
    peers: tuple[PeerSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class SetVnis(Operation):
    """RTM_NEWTUNNEL and RTM_DELTUNNEL: a vxlan with a filter takes these ranges of VNIs, and others no longer."""

    stale = (effects.on_link("vnis"),)
    dev: str
    add: tuple[tuple[int, int], ...] = ()
    remove: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class WriteSysctl(Operation):
    """Writes ``value`` to a key below /proc/sys, given as its path there ("net/ipv4/ip_forward")."""

    stale = (effects.sysctl,)
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class WriteFile(Operation):
    """Writes a file below /etc/netns, in place; ``new``: only if there is none. ``path`` is NAMESPACE/NAME."""

    stale = (effects.file,)
    path: str
    text: str
    new: bool = False


@dataclass(frozen=True, slots=True)
class DeleteFile(Deletion):
    """Removes a file below /etc/netns, and its directory if that is empty then."""

    stale = (effects.file,)
    path: str


@dataclass(frozen=True, slots=True)
class RunNft(Operation):
    """One nft transaction, as nft(8) text."""

    stale = (effects.in_namespace("nft"),)
    text: str


@dataclass(frozen=True, slots=True)
class DropFlows(Operation):
    """Deletes connections from conntrack that these entries, in their order, cannot have translated so; in the
    background."""

    entries: tuple[Translation, ...]


@dataclass(frozen=True, slots=True)
class LegacyAccept(Operation):
    """One ``iptables-legacy`` / ``ip6tables-legacy`` accept rule at the top of a chain of "filter" (or its removal).

    ``family`` "ip" or "ip6"; commented "netd".
    """

    stale = (effects.in_namespace("nft"),)
    family: str
    chain: str
    match: Match
    delete: bool = False
