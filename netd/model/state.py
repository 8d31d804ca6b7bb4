"""The state of the kernel: one frozen value per rtnetlink message, normalized so that equal states compare equal.

Shapes follow rtnetlink(7) and include/uapi/linux/{if_link,if_addr,rtnetlink,fib_rules,neighbour}.h. MACs are lower
case with colons, addresses and networks canonical text, indexes positive (0: none).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_RUNNING = 0x40
IFA_F_SECONDARY = 0x01
IFA_F_NODAD = 0x02
IFA_F_OPTIMISTIC = 0x04
IFA_F_DADFAILED = 0x08
IFA_F_HOMEADDRESS = 0x10
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40
IFA_F_PERMANENT = 0x80
IFA_F_MANAGETEMPADDR = 0x100
IFA_F_NOPREFIXROUTE = 0x200
IFA_F_MCAUTOJOIN = 0x400
#: The origin of a route: the kernel for an address, or a router's advertisement (include/uapi/linux/rtnetlink.h).
RTPROT_KERNEL, RTPROT_RA = 2, 9
NUD_PERMANENT = 0x80
NTF_SELF = 0x02
#: An entry of a control plane (bridge: "extern_learn").
NTF_EXT_LEARNED = 0x10
NTF_MASTER = 0x04
NTF_PROXY = 0x08


def attributes(data: bytes) -> dict[int, bytes]:
    """The netlink attributes of ``data``: {type: payload}. A truncated tail is dropped."""
    found: dict[int, bytes] = {}
    at, end = 0, len(data)
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > end:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


#: The MAC address of the entries of a vxlan's forwarding database that unknown, broadcast and multicast frames follow.
FLOOD = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Link:
    """RTM_NEWLINK. ``info`` and ``port`` are the raw IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA."""

    index: int
    name: str
    kind: str = ""
    flags: int = 0
    mtu: int = 0
    mac: str = ""
    master: int = 0
    group: int = 0
    link: int = 0
    link_netnsid: int | None = None
    alias: str = ""
    altnames: tuple[str, ...] = ()
    info: bytes = b""
    port: bytes = b""

    @property
    def up(self) -> bool:
        """Whether it is set up (IFF_UP), with or without a carrier."""
        return bool(self.flags & IFF_UP)


@dataclass(frozen=True, slots=True)
class Address:
    """RTM_NEWADDR. ``address`` is the local address as a CIDR ("10.0.0.1/24"), ``raw`` the message without header."""

    index: int
    address: str
    flags: int = 0
    scope: int = 0
    protocol: int = 0
    peer: str = ""
    broadcast: str = ""
    label: str = ""
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Nexthop:
    """One hop of a route. ``via`` is "" where the hop is on the link itself; ``weight`` counts from 1."""

    via: str = ""
    index: int = 0
    weight: int = 1
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """RTM_NEWROUTE. ``raw`` is the message without its netlink header, to restore it exactly."""

    family: int
    table: int
    to: str
    metric: int
    type: str = "unicast"
    protocol: int = 0
    scope: int = 0
    tos: int = 0
    src: str = ""
    mtu: int = 0
    nexthops: tuple[Nexthop, ...] = ()
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """RTM_NEWRULE. ``source`` and ``to`` are CIDRs, "" for all; ``other``: it has selectors that netd does not know.

    ``action`` is FR_ACT_*; ``suppress_prefixlength`` -1 suppresses none; ports are "N" or "N-M", "" for all;
    ``inverted``: it is for the packets that do not match.
    """

    family: int
    priority: int
    table: int = 0
    source: str = ""
    to: str = ""
    iif: str = ""
    oif: str = ""
    fwmark: int = 0
    fwmask: int = 0
    action: int = 1
    protocol: int = 0
    suppress_prefixlength: int = -1
    ipproto: int = 0
    sport: str = ""
    dport: str = ""
    inverted: bool = False
    other: bool = False
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Neighbor:
    """RTM_NEWNEIGH of AF_INET or AF_INET6. ``state`` is NUD_*, ``raw`` the message without header."""

    index: int
    address: str
    mac: str
    state: int = NUD_PERMANENT
    protocol: int = 0
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Qdisc:
    """RTM_NEWQDISC of a link's root that somebody chose: its ``handle`` is not 0. ``options`` is TCA_OPTIONS."""

    index: int
    kind: str
    handle: int
    options: bytes = b""


#: BRIDGE_VLAN_INFO_*, include/uapi/linux/if_bridge.h.
VLAN_PVID, VLAN_UNTAGGED = 2, 4


@dataclass(frozen=True, slots=True)
class PortVlan:
    """A VLAN of a bridge's port, RTM_NEWVLAN. ``vni``: the tunnel that its frames take, 0 for none."""

    flags: int
    vni: int = 0


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """RTM_NEWNEIGH of AF_BRIDGE on a vxlan (NTF_SELF). ``port`` and ``vni`` are 0 where they are the vxlan's own.

    ``via`` is the index of the link that carries it, 0 where routes decide; ``source`` the VNI whose frames it is
    for, of a tunnel with many.
    """

    index: int
    mac: str
    dst: str = ""
    port: int = 0
    vni: int = 0
    state: int = NUD_PERMANENT
    flags: int = 0
    via: int = 0
    source: int = 0
