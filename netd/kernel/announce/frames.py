"""The frames that announce an address: bytes in, bytes out."""

from __future__ import annotations

import ipaddress
import struct

BROADCAST = b"\xff" * 6
ETH_P_ARP, ETH_P_IP = 0x0806, 0x0800
ARPHRD_ETHER, ARPOP_REQUEST, ARPOP_REPLY = 1, 1, 2
ND_NEIGHBOR_ADVERT, ND_OPT_TARGET_LL_ADDR = 136, 2
#: Flags of a neighbor advertisement (RFC 4861, 4.4).
ROUTER, OVERRIDE = 0x80000000, 0x20000000


def arp(mac: bytes, source: str, target: str, *, to: bytes = BROADCAST) -> bytes:
    """An Ethernet frame with an ARP request from ``source`` for ``target``; an announcement (RFC 5227, 2.3) where
    both are the same."""
    head = struct.pack("!6s6sH", to, mac, ETH_P_ARP)
    body = struct.pack("!HHBBH", ARPHRD_ETHER, ETH_P_IP, 6, 4, ARPOP_REQUEST)
    sender, wanted = ipaddress.IPv4Address(source).packed, ipaddress.IPv4Address(target).packed
    return head + body + mac + sender + bytes(6) + wanted


def neighbor_advertisement(mac: bytes, address: str, *, router: bool) -> bytes:
    """An unsolicited neighbor advertisement (RFC 4861, 7.2.6), without a checksum: the kernel adds it.

    ``router``: a router that announces itself without this flag is removed from every host's default routers.
    """
    flags = OVERRIDE | (ROUTER if router else 0)
    target = ipaddress.IPv6Address(address).packed
    return (
        struct.pack("!BBHI", ND_NEIGHBOR_ADVERT, 0, 0, flags)
        + target
        + struct.pack("!BB6s", ND_OPT_TARGET_LL_ADDR, 1, mac)
    )
