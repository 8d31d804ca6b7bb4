"""The default routes of this machine as they are now, rtnetlink(7): /proc does not show who made a route."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from netd.model.marks import PROTOCOL
from netd.model.state import attributes

RTM_NEWROUTE, RTM_GETROUTE, NLMSG_ERROR, NLMSG_DONE = 24, 26, 2, 3
NLM_F_REQUEST_DUMP = 0x301
RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE, RTN_UNICAST, MAIN = 4, 5, 6, 15, 1, 254
#: SOL_NETLINK, NETLINK_GET_STRICT_CHK: only this table is asked for.
STRICT = (270, 12, 1)
LARGEST = 1 << 18
HEADER, ROUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBBBBBI")


class Gateway(NamedTuple):
    """A default route by a gateway that netd did not make."""

    family: int
    metric: int
    via: str
    dev: str


def default_routes() -> Iterator[Gateway]:
    """Those of the table main, of both families; none where they cannot be read."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            for body in _dump(family):
                _, length, _, _, _, protocol, _, kind, _ = ROUTE.unpack_from(body)
                if length == 0 and kind == RTN_UNICAST and protocol != PROTOCOL:
                    yield from _gateway(family, attributes(body[ROUTE.size :]))


def _gateway(family: int, found: dict[int, bytes]) -> Iterator[Gateway]:
    if RTA_GATEWAY in found and RTA_OIF in found and _number(found.get(RTA_TABLE)) in (0, MAIN):
        via = str(ip_address(found[RTA_GATEWAY]))
        with contextlib.suppress(OSError):
            dev = socket.if_indextoname(_number(found[RTA_OIF]))
            yield Gateway(4 if family == socket.AF_INET else 6, _number(found.get(RTA_PRIORITY)), via, dev)


def _number(payload: bytes | None) -> int:
    return int(struct.unpack("=I", payload)[0]) if payload else 0


def _dump(family: int) -> Iterator[bytes]:
    """The bodies of a dump of the table main."""
    head = ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0) + struct.pack("=HHI", 8, RTA_TABLE, MAIN)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asking:
        asking.setsockopt(*STRICT)
        asking.send(HEADER.pack(HEADER.size + len(head), RTM_GETROUTE, NLM_F_REQUEST_DUMP, 1, 0) + head)
        while True:
            data, at = asking.recv(LARGEST), 0
            while at + HEADER.size <= len(data):
                length, kind, *_ = HEADER.unpack_from(data, at)
                if length < HEADER.size or kind in (NLMSG_ERROR, NLMSG_DONE):
                    return
                if kind == RTM_NEWROUTE:
                    yield data[at + HEADER.size : at + length]
                at += (length + 3) & ~3
