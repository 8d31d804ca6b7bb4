"""Operations on namespaces and links, and on what a link has beside addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from netd.model import effects
from netd.model.key import LinkName
from netd.model.wireguard import PeerSettings, Secret

from .base import Deletion, NamespaceOperation, Operation, Restoration


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
