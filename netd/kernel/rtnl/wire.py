"""rtnetlink on the wire: the numbers that netd needs, and how attributes are packed.

Numbers are those of include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,neighbour,fib_rules,net_namespace}.h. All
integers are in the byte order of the machine, unless the name says ``be``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

AF_BRIDGE = 7

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_ECHO, NLM_F_DUMP_INTR = 0x1, 0x2, 0x4, 0x8, 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSGERR_ATTR_MSG = 1

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP, NETLINK_LISTEN_ALL_NSID = 1, 8
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12
SO_RCVBUFFORCE, SO_NETNS_COOKIE = 33, 71

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_SETLINK = 19
RTM_NEWVLAN, RTM_DELVLAN, RTM_GETVLAN = 112, 113, 114
RTM_NEWTUNNEL, RTM_DELTUNNEL, RTM_GETTUNNEL = 120, 121, 122
RTM_NEWNETCONF, RTM_DELNETCONF = 80, 81
RTM_NEWNSID, RTM_DELNSID, RTM_GETNSID = 88, 89, 90

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_IFALIAS, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK = 20, 27, 28, 29
IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES, IFLA_LINK_NETNSID = 31, 32, 37
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
#: The link's values below /proc/sys/net/ipv4/conf (include/uapi/linux/ip.h): IPV4_DEVCONF_PROMOTE_SECONDARIES.
IFLA_PROP_LIST, IFLA_ALT_IFNAME = 52, 53
IFLA_AF_SPEC, IFLA_INET_CONF, PROMOTE_SECONDARIES = 26, 1, 20
VETH_INFO_PEER = 1
RTEXT_FILTER_SKIP_STATS = 8

IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 3, 4, 6, 8, 11

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
RTA_METRICS, RTA_MULTIPATH, RTA_CACHEINFO, RTA_TABLE, RTA_VIA, RTA_EXPIRES, RTA_NH_ID = 8, 9, 12, 15, 18, 23, 30
RTAX_MTU = 2
RTM_F_CLONED = 0x200
RTNH_F_ONLINK = 4
RT_TABLE_COMPAT, RT_TABLE_MAIN, RT_TABLE_LOCAL = 252, 254, 255
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST, RT_SCOPE_NOWHERE = 0, 253, 254, 255
RTPROT_KERNEL = 2
ROUTE_TYPES = {
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable",
    8: "prohibit", 9: "throw", 10: "nat",
}  # fmt: skip
ROUTE_NUMBERS = {name: number for number, name in ROUTE_TYPES.items()}
#: Types that discard packets: IPv6 routes have ``lo`` as their link, IPv4 routes none.
DEAD_ENDS = frozenset({"blackhole", "unreachable", "prohibit", "throw"})

FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK = 1, 2, 3, 6, 10
FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_PAD, FRA_PROTOCOL = 14, 15, 16, 17, 18, 21
FIB_RULE_INVERT = 2
FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE = 22, 23, 24
FR_ACT_TO_TBL = 1

NDA_DST, NDA_LLADDR, NDA_PORT, NDA_VNI, NDA_IFINDEX, NDA_PROTOCOL = 1, 2, 6, 7, 8, 12
NDA_SRC_VNI = 11
NUD_NOARP = 0x40

#: IFLA_BRIDGE_* in IFLA_AF_SPEC, BRIDGE_FLAGS_SELF and BRIDGE_VLAN_INFO_RANGE_*, include/uapi/linux/if_bridge.h.
IFLA_BRIDGE_FLAGS, IFLA_BRIDGE_VLAN_INFO, IFLA_BRIDGE_VLAN_TUNNEL_INFO = 0, 2, 3
BRIDGE_SELF, RANGE_BEGIN, RANGE_END = 2, 8, 16
TUNNEL_ID, TUNNEL_VID = 1, 2
VNIFILTER_ENTRY, VNI_START, VNI_END = 1, 1, 2
VLANDB_DUMP_FLAGS, DUMP_STATISTICS = 1, 1
VLANDB_ENTRY, VLANDB_INFO, VLANDB_RANGE, VLANDB_TUNNEL, VLANDB_TUNNEL_ID = 1, 1, 2, 4, 1

TCA_KIND, TCA_OPTIONS = 1, 2
TC_H_ROOT = 0xFFFFFFFF

NETNSA_NSID, NETNSA_FD = 1, 3


class Request(NamedTuple):
    """One message to the kernel, without its netlink header."""

    kind: int
    flags: int
    body: bytes


def attribute(kind: int, payload: bytes) -> bytes:
    """One netlink attribute, padded to four bytes."""
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) & 3)


def nested(kind: int, payload: bytes) -> bytes:
    """Attributes inside an attribute (NLA_F_NESTED)."""
    return attribute(kind | 0x8000, payload)


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(kind, struct.pack("=B", value))


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes; negative values are written as s32."""
    return struct.pack("=HHI", 8, kind, value & 0xFFFFFFFF)


def text(kind: int, value: str) -> bytes:
    """A string with its terminating zero."""
    return attribute(kind, value.encode() + b"\0")


def mapping(payload: Mapping[int, bytes]) -> bytes:
    """{attribute: payload} as in a nested attribute."""
    return b"".join(attribute(kind, value) for kind, value in payload.items())


def rtnexthop(flags: int, weight: int, index: int, inner: bytes) -> bytes:
    """struct rtnexthop with its attributes."""
    return struct.pack("=HBBi", 8 + len(inner), flags, weight, index) + inner + bytes(-len(inner) % 4)


def rtnexthops(several: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """RTA_MULTIPATH: (flags, weight, index, attributes) of each hop. One that is cut short is dropped."""
    at = 0
    while at + 8 <= len(several):
        length, flags, weight, index = struct.unpack_from("=HBBi", several, at)
        if length < 8 or at + length > len(several):
            return
        yield flags, weight, index, several[at + 8 : at + length]
        at += (length + 3) & ~3


def mac_bytes(mac: str) -> bytes:
    """ "02:00:..." as bytes; ValueError where it is none."""
    return bytes.fromhex(mac.replace(":", ""))


def address_bytes(address: str) -> bytes:
    """An IPv4 or IPv6 address as bytes; OSError where it is none."""
    return socket.inet_pton(family_of(address), address)


def family_of(address: str) -> int:
    """AF_INET or AF_INET6 of an address or a CIDR."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def split_cidr(cidr: str) -> tuple[bytes, int]:
    """ "10.0.0.0/8" as (bytes, prefix length)."""
    address, _, length = cidr.partition("/")
    packed = address_bytes(address)
    return packed, int(length) if length else len(packed) * 8
