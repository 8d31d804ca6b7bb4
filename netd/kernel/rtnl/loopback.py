"""The ``lo`` of a new namespace."""

from __future__ import annotations

import socket
import struct

from netd.model.state import IFF_UP

from .netlink_socket import Rtnl
from .wire import RTM_NEWLINK, Request

LOOPBACK_INDEX = 1


def loopback_up() -> int:
    """Sets ``lo`` up in the namespace of the calling thread; returns the namespace's cookie. OSError."""
    rtnl = Rtnl()
    try:
        cookie = rtnl.cookie()
        message = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, LOOPBACK_INDEX, IFF_UP, IFF_UP)
        error, _ = rtnl.request([Request(RTM_NEWLINK, 0, message)])[0]
    finally:
        rtnl.close()
    if error is not None:
        raise OSError(error.code, error.text)
    return cookie
