"""Takes IPv6 off links that are about to be deleted, many at a time.

For each link that goes down the kernel walks all IPv6 routes of the namespace, twice, and all IPv6 addresses
(fib6_ifdown() in net/ipv6/route.c, addrconf_ifdown() in addrconf.c). A thousand links that are up have three thousand
routes: deleting them costs the square of their number. Deleted one by one, by their names, before that, an address and
its routes cost the same however many there are.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Collection, Iterator, Set

from netd.model.state import attributes

from . import wire
from .encode import rtmsg
from .netlink_socket import PORTION, Rtnl
from .wire import Request


def shed_ipv6(rtnl: Rtnl, indexes: Collection[int]) -> Iterator[None]:
    """Deletes the IPv6 addresses of these links, and before them the kernel's own routes; yields between sends.

    Whatever is refused goes with its link.
    """
    chosen = frozenset(indexes)
    # Routes first: with each address the kernel walks all of them (rt6_remove_prefsrc()).
    for requests in (list(_routes(rtnl, chosen)), list(_addresses(rtnl, chosen))):
        for start in range(0, len(requests), PORTION):
            rtnl.request(requests[start : start + PORTION])
            yield


def _routes(rtnl: Rtnl, chosen: Set[int]) -> Iterator[Request]:
    for body in rtnl.dump(wire.RTM_GETROUTE, rtmsg(socket.AF_INET6, wire.RTPROT_KERNEL)):
        link = attributes(body[12:]).get(wire.RTA_OIF)
        if link is not None and int.from_bytes(link, sys.byteorder) in chosen:
            yield Request(wire.RTM_DELROUTE, 0, body)


def _addresses(rtnl: Rtnl, chosen: Set[int]) -> Iterator[Request]:
    for body in rtnl.dump(wire.RTM_GETADDR, struct.pack("=BBBBI", socket.AF_INET6, 0, 0, 0, 0)):
        length, index = struct.unpack_from("=xBxxI", body)
        found = attributes(body[8:])
        address = found.get(wire.IFA_LOCAL) or found.get(wire.IFA_ADDRESS)
        if index in chosen and address is not None:
            head = struct.pack("=BBBBI", socket.AF_INET6, length, 0, 0, index)
            yield Request(wire.RTM_DELADDR, 0, head + wire.attribute(wire.IFA_LOCAL, address))
