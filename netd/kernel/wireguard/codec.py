"""WireGuard's messages, include/uapi/linux/wireguard.h: settings -> attributes, and attributes -> a device.

A list is an attribute with nested ones of type 0. The kernel sends a peer with many allowed IPs in several parts.
"""

from __future__ import annotations

import base64
import ipaddress
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netd.kernel.rtnl import wire
from netd.model.state import attributes
from netd.model.wireguard import PeerSettings, WireguardDevice, WireguardPeer, digest, key_bytes

GET_DEVICE, SET_DEVICE = 0, 1
IFINDEX, PRIVATE_KEY, LISTEN_PORT, FWMARK, PEERS = 1, 3, 6, 7, 8
PUBLIC_KEY, PRESHARED_KEY, FLAGS, ENDPOINT, KEEPALIVE, HANDSHAKE, ALLOWED_IPS = 1, 2, 3, 4, 5, 6, 9
IP_FAMILY, IP_ADDRESS, IP_LENGTH = 1, 2, 3
REMOVE_ME, REPLACE_ALLOWED_IPS = 1, 2
NLA_F_NESTED = 0x8000
#: Allowed IPs in one part of a peer, and bytes of peers in one message: the length of an attribute has 16 bits.
IPS, BYTES = 500, 30_000


def nested(kind: int, body: bytes) -> bytes:
    """An attribute that has others; the kernel insists on the flag."""
    return wire.attribute(kind | NLA_F_NESTED, body)


def parts(data: bytes) -> Iterator[bytes]:
    """The payloads of a list."""
    at = 0
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("=H", data, at)
        if length < 4 or at + length > len(data):
            return
        yield data[at + 4 : at + length]
        at += (length + 3) & ~3


def sockaddr(endpoint: str) -> bytes:
    """struct sockaddr_in or sockaddr_in6 of "192.0.2.1:51820" or "[2001:db8::1]:51820"."""
    host, _, port = endpoint.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]"))
    head = struct.pack("!H", int(port))
    if address.version == 4:
        return struct.pack("=H", socket.AF_INET) + head + address.packed + bytes(8)
    return struct.pack("=H", socket.AF_INET6) + head + bytes(4) + address.packed + bytes(4)


def endpoint(raw: bytes) -> str:
    """The same, back; "" for none."""
    if len(raw) < 16:
        return ""
    family, port = struct.unpack_from("=H", raw)[0], struct.unpack_from("!H", raw, 2)[0]
    if family == socket.AF_INET:
        return f"{ipaddress.IPv4Address(raw[4:8])}:{port}"
    return f"[{ipaddress.IPv6Address(raw[8:24])}]:{port}" if family == socket.AF_INET6 and len(raw) >= 24 else ""


def allowed_ip(network: str) -> bytes:
    """One network, as an element of the list."""
    packed, length = wire.split_cidr(network)
    body = struct.pack("=HHHxx", 6, IP_FAMILY, wire.family_of(network)) + wire.attribute(IP_ADDRESS, packed)
    return nested(0, body + wire.u8(IP_LENGTH, length))


def peer_parts(peer: PeerSettings, preshared: bytes) -> Iterator[bytes]:
    """One peer, as elements of the list; ``preshared`` b"": unchanged."""
    public = wire.attribute(PUBLIC_KEY, key_bytes(peer.public_key))
    if peer.remove:
        yield nested(0, public + wire.u32(FLAGS, REMOVE_ME))
        return
    body = public + wire.u32(FLAGS, REPLACE_ALLOWED_IPS)
    body += wire.attribute(PRESHARED_KEY, preshared) if preshared else b""
    body += wire.attribute(ENDPOINT, sockaddr(peer.endpoint)) if peer.endpoint else b""
    body += wire.attribute(KEEPALIVE, struct.pack("=H", peer.keepalive)) if peer.keepalive is not None else b""
    for start in range(0, max(1, len(peer.allowed_ips)), IPS):
        ips = b"".join(map(allowed_ip, peer.allowed_ips[start : start + IPS]))
        yield nested(0, body + (nested(ALLOWED_IPS, ips) if ips else b""))
        body = public


def device_messages(
    index: int, private: bytes, listen_port: int | None, fwmark: int | None, peers: Iterable[tuple[PeerSettings, bytes]]
) -> Iterator[bytes]:
    """The bodies of WG_CMD_SET_DEVICE that write these; b"" and None: unchanged."""
    device = wire.u32(IFINDEX, index)
    body = device + (wire.attribute(PRIVATE_KEY, private) if private else b"")
    body += wire.attribute(LISTEN_PORT, struct.pack("=H", listen_port)) if listen_port is not None else b""
    body += wire.u32(FWMARK, fwmark) if fwmark is not None else b""
    waiting = b""
    for part in (part for peer, preshared in peers for part in peer_parts(peer, preshared)):
        if len(waiting) + len(part) > BYTES:
            yield body + nested(PEERS, waiting)
            body, waiting = device, b""
        waiting += part
    yield body + (nested(PEERS, waiting) if waiting else b"")


def private_key(bodies: Sequence[bytes]) -> bytes:
    """The private key in the answer to WG_CMD_GET_DEVICE, b"" for none."""
    found = next((each for body in bodies if (each := attributes(body).get(PRIVATE_KEY))), b"")
    return found if any(found) else b""


def decode(bodies: Sequence[bytes]) -> WireguardDevice:
    """The answer to WG_CMD_GET_DEVICE. Of keys only digests are kept."""
    device: dict[int, bytes] = {}
    peers: dict[str, WireguardPeer] = {}
    for body in bodies:
        found = attributes(body)
        device = {**found, **device}
        for part in parts(found.get(PEERS, b"")):
            peer = decode_peer(attributes(part))
            old = peers.get(peer.public_key)
            peers[peer.public_key] = (
                peer if old is None else old._replace(allowed_ips=old.allowed_ips + peer.allowed_ips)
            )
    return WireguardDevice(
        digest(device.get(PRIVATE_KEY, b"")),
        struct.unpack("=H", device.get(LISTEN_PORT, bytes(2)))[0],
        struct.unpack("=I", device.get(FWMARK, bytes(4)))[0],
        tuple(peers.values()),
    )


def decode_peer(found: Mapping[int, bytes]) -> WireguardPeer:
    """One element of the list."""
    seconds = struct.unpack("=q", found.get(HANDSHAKE, bytes(16))[:8])[0]
    return WireguardPeer(
        base64.b64encode(found.get(PUBLIC_KEY, b"")).decode(),
        digest(found.get(PRESHARED_KEY, b"")),
        endpoint(found.get(ENDPOINT, b"")),
        struct.unpack("=H", found.get(KEEPALIVE, bytes(2)))[0],
        tuple(decode_ip(attributes(part)) for part in parts(found.get(ALLOWED_IPS, b""))),
        time.time() - seconds if seconds else None,
    )


def decode_ip(found: Mapping[int, bytes]) -> str:
    """One allowed network."""
    return str(ipaddress.ip_network((found.get(IP_ADDRESS, bytes(4)), found.get(IP_LENGTH, b"\0")[0]), strict=False))
