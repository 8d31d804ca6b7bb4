"""Deleting one IPv4 address and nothing else.

By itself the kernel takes along the other addresses of its network where it is the first of them, unless
``promote_secondaries`` is set (``__inet_del_ifa`` in net/ipv4/devinet.c), and with the last address of a link all its
routes (``fib_disable_ip`` in net/ipv4/fib_frontend.c). Both may be somebody else's.
"""

from __future__ import annotations

import socket
import struct

from netd.errors import KernelError

from . import decode, wire
from .session import Session
from .wire import Request


def delete_alone(session: Session, request: Request, index: int, address: str) -> KernelError | None:
    """What the kernel answers to ``request``, the RTM_DELADDR of ``address`` (a CIDR) of the link of that index."""
    link = session.link(index)
    others = any(":" not in one.address and one.address != address for one in session.addresses(index))
    if link is not None and others:
        with session.sysctls.holding(f"net/ipv4/conf/{link.name}/promote_secondaries", "1"):
            return session.rtnl.request([request])[0][0]
    back = [Request(wire.RTM_NEWROUTE, wire.NLM_F_CREATE | wire.NLM_F_EXCL, raw) for raw in _routes(session, index)]
    # In one send: whatever ends this process, none of them is lost.
    return session.rtnl.atomic([request, *back])[0][0]


def _routes(session: Session, index: int) -> list[bytes]:
    """The IPv4 routes of a link, of all tables, each before those that stand on it; its own the kernel makes itself."""
    head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0) + wire.u32(wire.RTA_OIF, index)
    found = [route for body in session.rtnl.dump(wire.RTM_GETROUTE, head) if (route := decode.route(body))]
    others = [
        one for one in found if one.protocol != wire.RTPROT_KERNEL and index in [hop.index for hop in one.nexthops]
    ]
    # A gateway is looked up among routes of a narrower scope, which is the larger number.
    return [one.raw for one in sorted(others, key=lambda one: -one.scope)]
