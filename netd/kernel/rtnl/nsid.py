"""The numbers by which one namespace knows another (``ip netns list-id``): IFLA_LINK_NETNSID of its links is one."""

from __future__ import annotations

import struct

from netd.model.state import attributes

from . import wire
from .netlink_socket import Rtnl
from .wire import Request


def read_nsid(rtnl: Rtnl, descriptor: int) -> int | None:
    """RTM_GETNSID of the namespace behind ``descriptor``; only reads. None where no number is assigned."""
    body = bytes(4) + wire.u32(wire.NETNSA_FD, descriptor)
    error, replies = rtnl.request([Request(wire.RTM_GETNSID, 0, body)])[0]
    if error is not None or not replies:
        return None
    payload = attributes(replies[0][4:]).get(wire.NETNSA_NSID, b"")
    number: int = struct.unpack("=i", payload)[0] if len(payload) == 4 else -1
    return number if number >= 0 else None
