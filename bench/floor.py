"""The least that building the lab can cost from user space: raw netlink, many messages to a send, nothing read back.

Plain struct packing, no library, none of netd's code.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from . import lab

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, MS_BIND = 0x40000000, 4096
NEWLINK, SETLINK, NEWADDR, NEWROUTE, GETLINK, ERROR = 16, 19, 20, 24, 18, 2
REQUEST, ACK, CREATE = 1, 4, 0x600
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD, INFO_KIND, INFO_DATA, VETH_PEER = 3, 10, 18, 28, 1, 2, 1
IFF_UP = 1
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) & 3)


def ifinfo(index: int = 0, up: bool = False) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, IFF_UP if up else 0, IFF_UP if up else 0)


def link(name: str, kind: str, data: bytes = b"", master: int = 0) -> bytes:
    info = attribute(INFO_KIND, kind.encode()) + (attribute(INFO_DATA, data) if data else b"")
    body = ifinfo(up=True) + attribute(IFLA_IFNAME, name.encode() + b"\0") + attribute(IFLA_LINKINFO, info)
    return body + (attribute(IFLA_MASTER, struct.pack("=I", master)) if master else b"")


def ipv4(index: int, text: str) -> bytes:
    packed = socket.inet_aton(text)
    return struct.pack("=BBBBI", 2, 16, 0, 0, index) + attribute(2, packed) + attribute(1, packed)


def default(via: str) -> bytes:
    return struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + attribute(5, socket.inet_aton(via))


def send(sock: socket.socket, messages: list[tuple[int, bytes]], flags: int = REQUEST | ACK | CREATE) -> None:
    """All in sends of fifty; an error ends it."""
    for start in range(0, len(messages), 50):
        part = messages[start : start + 50]
        sock.send(
            b"".join(
                struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body + bytes(-len(body) & 3)
                for number, (kind, body) in enumerate(part)
            )
        )
        acks = 0
        while acks < len(part):
            data, at = sock.recv(1 << 18), 0
            while at < len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind == ERROR:
                    acks += 1
                    code = struct.unpack_from("=i", data, at + 16)[0]
                    if code:
                        raise OSError(-code, os.strerror(-code))
                at += length + 3 & ~3


def netlink() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)


def check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def build(count: int) -> None:
    """The lab, with sysctls; without the NAT rule, which is not rtnetlink's."""
    host = netlink()
    os.makedirs("/run/netns", exist_ok=True)
    inside: list[tuple[socket.socket, int]] = []
    for n in range(1, count + 1):
        path = f"/run/netns/n{n}"
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o444))
        check(LIBC.unshare(CLONE_NEWNET))
        check(LIBC.mount(b"/proc/self/ns/net", path.encode(), b"none", MS_BIND, None))
        descriptor = os.open("/proc/self/ns/net", os.O_RDONLY)
        inside.append((netlink(), descriptor))
        with open("/proc/sys/net/ipv4/tcp_fin_timeout", "w", encoding="ascii") as file:
            file.write("30")
    check(LIBC.setns(HOME, CLONE_NEWNET))
    masters = {}
    for n in lab.bridges(count):
        send(host, [(NEWLINK, link(f"br{n}", "bridge"))])
        masters[n] = socket.if_nametoindex(f"br{n}")
        send(host, [(NEWADDR, ipv4(masters[n], f"10.{20 + n}.0.1"))])
    pairs = []
    for n, (_, descriptor) in enumerate(inside, 1):
        end = attribute(IFLA_IFNAME, b"eth0\0") + attribute(IFLA_NET_NS_FD, struct.pack("=I", descriptor))
        data = attribute(VETH_PEER, ifinfo() + end)
        pairs.append((NEWLINK, link(f"v{n}", "veth", data, masters[lab.bridge(n)])))
    send(host, pairs)
    for n, (sock, descriptor) in enumerate(inside, 1):
        # In a new namespace the first link after lo has index 2.
        ups = [(NEWLINK, ifinfo(1, up=True)), (NEWLINK, ifinfo(2, up=True))]
        send(sock, ups, REQUEST | ACK)
        send(sock, [(NEWADDR, ipv4(2, lab.address(n))), (NEWROUTE, default(lab.gateway(n)))])
        check(LIBC.setns(descriptor, CLONE_NEWNET))
        with open("/proc/sys/net/ipv4/conf/eth0/arp_announce", "w", encoding="ascii") as file:
            file.write("1")
        sock.close()
        os.close(descriptor)
    check(LIBC.setns(HOME, CLONE_NEWNET))
