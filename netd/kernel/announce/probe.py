"""Whether a neighbor answers: netd asks on the wire, because the kernel's table can be a minute old."""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Callable

from . import frames
from .announcer import ethernet

#: Seconds to wait for an answer, and between the requests.
PATIENCE, INTERVAL = 1.0, 0.25
ND_NEIGHBOR_SOLICIT = 135
#: ICMP6_FILTER of RFC 3542, as include/uapi/linux/icmpv6.h numbers it.
ICMP6_FILTER = 1


def answers(link: str, source: str, target: str) -> bool:
    """Asks on this link of the calling thread's namespace, for up to a second. OSError where it cannot be asked."""
    return _six(link, target) if ":" in target else _four(link, source, target)


def _four(link: str, source: str, target: str) -> bool:
    wanted = ipaddress.IPv4Address(target).packed
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(frames.ETH_P_ARP)) as sock:
        sock.bind((link, frames.ETH_P_ARP))
        mac = ethernet(sock, link)
        if mac is None:
            return True  # this link does not resolve addresses: no request is possible

        def heard(frame: bytes) -> bool:
            return len(frame) >= 42 and frame[12:14] == b"\x08\x06" and frame[28:32] == wanted and frame[6:12] != mac

        return _ask(sock, heard, lambda: sock.send(frames.arp(mac, source, target)))


def _six(link: str, target: str) -> bool:
    index, wanted = socket.if_nametoindex(link), ipaddress.IPv6Address(target).packed
    group = "ff02::1:ff" + f"{wanted[13]:02x}:{wanted[14]:02x}{wanted[15]:02x}"
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6) as sock:
        mac = _mac(link)
        if mac is None:
            return True
        passed = bytearray(b"\xff" * 32)
        struct.pack_into("=I", passed, 136 // 32 * 4, 0xFFFFFFFF & ~(1 << 136 % 32))
        sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, bytes(passed))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        question = struct.pack("!BBHI", ND_NEIGHBOR_SOLICIT, 0, 0, 0) + wanted + struct.pack("!BB6s", 1, 1, mac)

        def heard(packet: bytes) -> bool:
            return len(packet) >= 24 and packet[0] == frames.ND_NEIGHBOR_ADVERT and packet[8:24] == wanted

        return _ask(sock, heard, lambda: sock.sendto(question, (group, 0, 0, index)))


def _mac(link: str) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        return ethernet(sock, link)


def _ask(sock: socket.socket, heard: Callable[[bytes], bool], ask: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE
    again = 0.0
    while (now := time.monotonic()) < end:
        if now >= again:
            ask()
            again = now + INTERVAL
        sock.settimeout(max(0.001, min(again, end) - now))
        try:
            if heard(sock.recv(2000)):
                return True
        except TimeoutError:
            continue
    return False
