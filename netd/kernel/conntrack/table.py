"""Reading the conntrack table of a namespace, and deleting single entries of it.

Shapes: include/uapi/linux/netfilter/nfnetlink_conntrack.h. Everything is in network byte order. Only what decides about
a translation is decoded; the identity of an entry is kept as it was read.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence

from netd.errors import kernel_error
from netd.model.flows import Flow
from netd.model.state import attributes

NETLINK_NETFILTER, NFNL_SUBSYS_CTNETLINK = 12, 1
CT_GET, CT_DELETE = 1, 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
TUPLE_ORIG, TUPLE_REPLY, STATUS, PROTOINFO, ID, ZONE, FILTER = 1, 2, 3, 4, 12, 18, 25
TUPLE_IP, TUPLE_PROTO = 1, 2
IP_V4_SRC, IP_V4_DST, IP_V6_SRC, IP_V6_DST = 1, 2, 3, 4
PROTO_NUM, PROTO_SRC_PORT, PROTO_DST_PORT = 1, 2, 3
PROTOINFO_TCP, PROTOINFO_TCP_STATE = 1, 1
FILTER_ORIG_FLAGS = 1
#: CTA_FILTER_F_CTA_PROTO_NUM and _DST_PORT (net/netfilter/nf_conntrack_netlink.c).
FILTER_PROTO_NUM, FILTER_DST_PORT = 1 << 3, 1 << 5
NLA_F_NESTED = 0x8000
#: Deletions of one send.
PORTION = 100


def open_socket() -> socket.socket:
    """A socket in the calling thread's namespace, usable from any thread; KernelError."""
    try:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    except OSError as error:
        raise kernel_error(error.errno or errno.EIO, "conntrack: a socket") from None


def read(sock: socket.socket, family: int = socket.AF_UNSPEC, protocol: int = 0, port: int = 0) -> Iterator[Flow]:
    """All entries, or those of one family, and of one protocol and original destination port; KernelError.

    A large table is dumped in parts, and changes meanwhile: an entry can appear twice, or not exist any more.
    """
    wanted = _chosen(protocol, port) if protocol and port else b""
    _send(sock, [(CT_GET, NLM_F_REQUEST | NLM_F_DUMP, family, wanted)])
    while True:
        for kind, body in _messages(sock.recv(1 << 18)):
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                _check(body)
                return
            flow = decode(body)
            if flow is not None:
                yield flow


def delete(sock: socket.socket, flows: Sequence[Flow]) -> int:
    """Deletes exactly these entries; returns how many were still there. KernelError."""
    count = 0
    # A deletion without an entry would empty the whole table.
    named = [flow for flow in flows if flow.raw]
    for start in range(0, len(named), PORTION):
        part = named[start : start + PORTION]
        _send(sock, [(CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, flow.family, flow.raw) for flow in part])
        left = len(part)
        while left:
            for kind, body in _messages(sock.recv(1 << 18)):
                if kind != NLMSG_ERROR:
                    continue
                left -= 1
                if struct.unpack_from("=i", body)[0] != -errno.ENOENT:
                    _check(body)
                    count += 1
    return count


def _chosen(protocol: int, port: int) -> bytes:
    """The kernel filters the dump (Linux 5.8; an older one ignores this, and netd filters)."""
    proto = _attribute(PROTO_NUM, bytes([protocol])) + _attribute(PROTO_DST_PORT, struct.pack("!H", port))
    return _attribute(TUPLE_ORIG | NLA_F_NESTED, _attribute(TUPLE_PROTO | NLA_F_NESTED, proto)) + _attribute(
        FILTER | NLA_F_NESTED, _attribute(FILTER_ORIG_FLAGS, struct.pack("=I", FILTER_PROTO_NUM | FILTER_DST_PORT))
    )


def decode(body: bytes) -> Flow | None:
    """One IPCTNL_MSG_CT_NEW without its netlink header; None where it is no IP connection."""
    family, found = body[0], attributes(body[4:])
    original, reply = _tuple(found.get(TUPLE_ORIG, b"")), _tuple(found.get(TUPLE_REPLY, b""))
    if original is None or reply is None:
        return None
    source, destination, protocol, _, port = original
    to, leaves_as, _, to_port, _ = reply
    state = attributes(attributes(found.get(PROTOINFO, b"")).get(PROTOINFO_TCP, b"")).get(PROTOINFO_TCP_STATE, b"\0")
    raw = b"".join(
        _attribute(kind | (NLA_F_NESTED if kind == TUPLE_ORIG else 0), found[kind])
        for kind in (TUPLE_ORIG, ZONE, ID)
        if kind in found
    )
    status = int.from_bytes(found.get(STATUS, b""), "big")
    return Flow(family, protocol, source, destination, port, to, to_port, leaves_as, status, state[0], raw)


def _tuple(payload: bytes) -> tuple[str, str, int, int, int] | None:
    """(source, destination, protocol, source port, destination port); ports are 0 where there are none."""
    found = attributes(payload)
    addresses, proto = attributes(found.get(TUPLE_IP, b"")), attributes(found.get(TUPLE_PROTO, b""))
    source = addresses.get(IP_V4_SRC) or addresses.get(IP_V6_SRC)
    destination = addresses.get(IP_V4_DST) or addresses.get(IP_V6_DST)
    if source is None or destination is None or len(source) != len(destination) or len(source) not in (4, 16):
        return None
    ports = [int.from_bytes(proto.get(kind, b""), "big") for kind in (PROTO_NUM, PROTO_SRC_PORT, PROTO_DST_PORT)]
    family = socket.AF_INET if len(source) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, source), socket.inet_ntop(family, destination), ports[0], ports[1], ports[2]


def _send(sock: socket.socket, messages: Sequence[tuple[int, int, int, bytes]]) -> None:
    """Each (message, flags, family, attributes)."""
    data = b""
    for number, (message, flags, family, payload) in enumerate(messages, 1):
        kind = NFNL_SUBSYS_CTNETLINK << 8 | message
        data += struct.pack("=IHHII", 20 + len(payload), kind, flags, number, 0)
        data += struct.pack("=BBH", family, 0, 0) + payload
    sock.send(data)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, body) of each message."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16:
            return
        yield kind, data[offset + 16 : offset + length]
        offset += length + 3 & ~3


def _check(body: bytes) -> None:
    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if code:
        raise kernel_error(code, "conntrack")


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)
