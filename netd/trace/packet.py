"""One packet on its way, as far as its way depends on it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import NamedTuple

BROADCAST = "ff:ff:ff:ff:ff:ff"
#: Protocol numbers by their names.
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "ipip": 4, "gre": 47, "sit": 41}
#: Bytes of headers: Ethernet is not counted in an MTU.
IPV4_HEADER, IPV6_HEADER, ETHERNET_HEADER, VLAN_TAG = 20, 40, 14, 4


class Ends(NamedTuple):
    """Addresses and ports: what address translation changes."""

    source: str
    destination: str
    source_port: int = 0
    port: int = 0

    def reversed(self) -> Ends:
        """Those of the answer."""
        return Ends(self.destination, self.source, self.port, self.source_port)


@dataclass(frozen=True, slots=True)
class Packet:
    """``size``: bytes of the IP packet. ``state``: of its connection in this namespace: new, established, invalid.

    ``translated``: what happened to its connection in this namespace: "snat", "dnat". ``discovery``: it is a question
    (or answer) of IPv6 neighbor discovery. ``splits``: what is too large for a link is sent in fragments.
    """

    ends: Ends
    protocol: str
    size: int = 84
    ttl: int = 64
    mark: int = 0
    state: str = "new"
    reply: bool = False
    discovery: bool = False
    splits: bool = False
    translated: frozenset[str] = frozenset()

    @property
    def family(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.ends.destination).version

    @property
    def number(self) -> int:
        """The number of its protocol."""
        name = "icmpv6" if self.protocol == "icmp" and self.family == 6 else self.protocol
        return NUMBERS[name]

    def to(self, ends: Ends) -> Packet:
        """With other addresses or ports."""
        return replace(self, ends=ends)

    def __str__(self) -> str:
        source, destination, source_port, port = self.ends
        if not port:
            return f"{source or 'no address'} > {destination} {self.protocol}"
        return f"{joined(source, source_port)} > {joined(destination, port)} {self.protocol}"


def joined(address: str, port: int) -> str:
    """An address with its port."""
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{port}" if port else address


@dataclass(frozen=True, slots=True)
class Frame:
    """An IP packet on a link: MACs ("" on links without any) and the VLAN tags, the outermost last.

    ``arp``: it is no IP packet, but the question (or answer) of ARP about its destination.
    """

    packet: Packet
    source: str
    destination: str
    tags: tuple[int, ...] = ()
    arp: bool = False

    @property
    def size(self) -> int:
        """What an MTU limits."""
        return 28 if self.arp else self.packet.size

    @property
    def is_broadcast(self) -> bool:
        """Whether it goes to all, or to a group."""
        return bool(self.destination) and bool(int(self.destination[:2], 16) & 1)
