"""A packet in one line, as a person reads it: addresses, protocol, ports, and what it is about."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Mapping

#: EtherTypes, https://www.iana.org/assignments/ieee-802-numbers.
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
TAGS = {0x8100: "vlan", 0x88A8: "s-vlan"}
OTHER_ETHERNET = {0x88CC: "LLDP", 0x8863: "PPPoE discovery", 0x8864: "PPPoE", 0x8847: "MPLS", 0x888E: "802.1X"}
#: Protocol numbers, https://www.iana.org/assignments/protocol-numbers.
ICMP, IPIP, TCP, UDP, IPV6_IN, GRE, ICMP6 = 1, 4, 6, 17, 41, 47, 58
OTHER_PROTOCOLS = {2: "IGMP", 50: "ESP", 51: "AH", 89: "OSPF", 103: "PIM", 112: "VRRP", 132: "SCTP"}
#: Extension headers that carry their own length in units of 8 bytes.
EXTENSIONS = frozenset({0, 43, 60})
FRAGMENT = 44
VXLAN, GENEVE = 4789, 6081
FLAGS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x20, "U"))
ICMP_TYPES = {
    0: "echo reply", 3: "destination unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded",
}  # fmt: skip
ICMP_UNREACHABLE = {0: "network unreachable", 1: "host unreachable", 3: "port unreachable", 4: "too large"}
ICMP6_TYPES = {
    1: "destination unreachable", 2: "too large", 3: "time exceeded", 128: "echo request", 129: "echo reply",
    130: "listener query", 131: "listener report", 133: "router solicitation", 134: "router advertisement",
    135: "neighbor solicitation", 136: "neighbor advertisement", 143: "listener report",
}  # fmt: skip
#: Tunnels in tunnels that are followed.
DEEPEST = 4


def summary(data: bytes, *, ethernet: bool = True) -> str:
    """One line; what is cut short or not known is said so."""
    try:
        return _frame(data, 0) if ethernet else _network(data, 0)
    except (struct.error, IndexError, ValueError):
        return f"{len(data)} bytes, cut short"


def _frame(data: bytes, depth: int) -> str:
    target, source, kind, rest = mac(data[:6]), mac(data[6:12]), u16(data, 12), data[14:]
    tags = ""
    while kind in TAGS:
        tags += f"{TAGS[kind]} {u16(rest, 0) & 0xFFF} "
        kind, rest = u16(rest, 2), rest[4:]
    if kind == ARP:
        return f"{tags}{_arp(rest, source)}"
    if kind in (IPV4, IPV6):
        return tags + _network(rest, depth)
    name = OTHER_ETHERNET.get(kind, "STP" if data[:6] == b"\x01\x80\xc2\0\0\0" else f"ethertype 0x{kind:04x}")
    return f"{tags}{source} > {target} {name}"


def _arp(data: bytes, source: str) -> str:
    sender, target = address(data[14:18]), address(data[24:28])
    if u16(data, 6) == 1:
        return (
            f"ARP who-has {target} tell {sender}" if sender != target else f"ARP announcement {sender} is at {source}"
        )
    return f"ARP reply {sender} is at {mac(data[8:14])}"


def _network(data: bytes, depth: int) -> str:
    version = data[0] >> 4
    if version == 4:
        return _ipv4(data, depth)
    return _ipv6(data, depth) if version == 6 else f"no IP packet (version {version})"


def _ipv4(data: bytes, depth: int) -> str:
    header, whole, where, protocol = (data[0] & 15) * 4, u16(data, 2), u16(data, 6), data[9]
    ends = address(data[12:16]), address(data[16:20])
    if where & 0x1FFF:
        return f"{ends[0]} > {ends[1]} fragment at {(where & 0x1FFF) * 8}, {whole} bytes"
    more = ", first fragment" if where & 0x2000 else ""
    return _transport(ends, protocol, data[header : whole or None], depth) + more


def _ipv6(data: bytes, depth: int) -> str:
    following, rest = data[6], data[40:]
    ends = address(data[8:24]), address(data[24:40])
    more = ""
    while following in EXTENSIONS or following == FRAGMENT:
        if following == FRAGMENT:
            where = u16(rest, 2)
            if where & ~7:
                return f"{ends[0]} > {ends[1]} fragment at {where & ~7}"
            more, following, rest = ", first fragment", rest[0], rest[8:]
        else:
            following, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    return _transport(ends, following, rest, depth) + more


def _transport(ends: tuple[str, str], protocol: int, data: bytes, depth: int) -> str:
    known = PROTOCOLS.get(protocol)
    if known is not None:
        return known(ends, data, depth)
    return f"{ends[0]} > {ends[1]} {OTHER_PROTOCOLS.get(protocol, f'protocol {protocol}')}, {len(data)} bytes"


def _tcp(ends: tuple[str, str], data: bytes, depth: int) -> str:
    source, target, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", data)
    letters = "".join(letter for bit, letter in FLAGS if flags & bit) + ("." if flags & 0x10 else "")
    length = len(data) - (offset >> 4) * 4
    return f"{at(ends[0], source)} > {at(ends[1], target)} TCP [{letters}] seq {sequence}, {length} bytes"


def _udp(ends: tuple[str, str], data: bytes, depth: int) -> str:
    source, target, length = struct.unpack_from("!HHH", data)
    line = f"{at(ends[0], source)} > {at(ends[1], target)} UDP"
    if target == VXLAN and depth < DEEPEST:
        return f"{line} VXLAN {int.from_bytes(data[12:15], 'big')} | {_frame(data[16:], depth + 1)}"
    if target == GENEVE and depth < DEEPEST:
        return (
            f"{line} Geneve {int.from_bytes(data[12:15], 'big')} | {_frame(data[16 + (data[8] & 63) * 4 :], depth + 1)}"
        )
    return f"{line} {length - 8} bytes"


def _icmp(ends: tuple[str, str], data: bytes, depth: int) -> str:
    kind, code = data[0], data[1]
    what = ICMP_UNREACHABLE.get(code, ICMP_TYPES[3]) if kind == 3 else ICMP_TYPES.get(kind, f"type {kind}")
    more = f" id {u16(data, 4)} seq {u16(data, 6)}" if kind in (0, 8) else ""
    if kind == 3 and code == 4:
        more = f" (MTU {u16(data, 6)})"
    return f"{ends[0]} > {ends[1]} ICMP {what}{more}"


def _icmp6(ends: tuple[str, str], data: bytes, depth: int) -> str:
    kind = data[0]
    more = f" id {u16(data, 4)} seq {u16(data, 6)}" if kind in (128, 129) else ""
    if kind in (135, 136):
        more = f" {'who has' if kind == 135 else 'for'} {address(data[8:24])}"
    if kind == 2:
        more = f" (MTU {struct.unpack_from('!I', data, 4)[0]})"
    return f"{ends[0]} > {ends[1]} ICMPv6 {ICMP6_TYPES.get(kind, f'type {kind}')}{more}"


def _gre(ends: tuple[str, str], data: bytes, depth: int) -> str:
    flags, kind = struct.unpack_from("!HH", data)
    header = 4 + 4 * sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
    key = f" key {struct.unpack_from('!I', data, 8 if flags & 0x8000 else 4)[0]}" if flags & 0x2000 else ""
    line = f"{ends[0]} > {ends[1]} GRE{key}"
    if depth < DEEPEST and kind in (IPV4, IPV6):
        return f"{line} | {_network(data[header:], depth + 1)}"
    return f"{line} | {_frame(data[header:], depth + 1)}" if depth < DEEPEST and kind == 0x6558 else line


def _inner(ends: tuple[str, str], data: bytes, depth: int) -> str:
    line = f"{ends[0]} > {ends[1]} IP in IP"
    return f"{line} | {_network(data, depth + 1)}" if depth < DEEPEST else line


PROTOCOLS: Mapping[int, Callable[[tuple[str, str], bytes, int], str]] = {
    ICMP: _icmp, IPIP: _inner, TCP: _tcp, UDP: _udp, IPV6_IN: _inner, GRE: _gre, ICMP6: _icmp6,
}  # fmt: skip


def u16(data: bytes, at: int) -> int:
    """A number in network byte order."""
    found: int = struct.unpack_from("!H", data, at)[0]
    return found


def mac(data: bytes) -> str:
    """A MAC address."""
    return data.hex(":")


def address(data: bytes) -> str:
    """An IP address of 4 or 16 bytes; ValueError."""
    return str(ipaddress.ip_address(data))


def at(address: str, port: int) -> str:
    """An address with a port."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
