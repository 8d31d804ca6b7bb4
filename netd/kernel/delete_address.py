"""Deleting one IPv4 address and nothing else.

The kernel deletes with it the other addresses of its network where it is the first of them, unless
``promote_secondaries`` is set (``__inet_del_ifa`` in net/ipv4/devinet.c), and with the last address of a link all its
routes and neighbors (``fib_disable_ip`` in net/ipv4/fib_frontend.c). All of these may be foreign.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from netd.errors import KernelError
from netd.model.state import Route

from .rtnl import decode, wire
from .rtnl.encode import repeat_neighbor, rtmsg
from .rtnl.encode_link import ifinfomsg
from .rtnl.wire import Request
from .session import Session, leaves_by

PREPEND, APPEND = wire.NLM_F_CREATE, wire.NLM_F_CREATE | wire.NLM_F_APPEND


def delete_alone(session: Session, request: Request, index: int, address: str) -> KernelError | None:
    """Sends ``request``, the RTM_DELADDR of ``address`` (a CIDR) of the link with that index; returns its error."""
    others = any(":" not in one.address and one.address != address for one in session.addresses(index))
    link = session.link(index) if others else None
    # In one send: if this process ends, nothing is lost and nothing is left changed.
    if link is None:
        return session.rtnl.atomic([request, *_neighbors(session, index), *_routes(session, index)])[0][0]
    if session.sysctl(f"net/ipv4/conf/{link.name}/promote_secondaries") != "0":
        return session.rtnl.request([request])[0][0]
    return session.rtnl.atomic([_promote(index, 1), request, _promote(index, 0)])[1][0]


def _promote(index: int, value: int) -> Request:
    """Writes the sysctl promote_secondaries of a link, by rtnetlink."""
    values = wire.nested(socket.AF_INET, wire.nested(wire.IFLA_INET_CONF, wire.u32(wire.PROMOTE_SECONDARIES, value)))
    return Request(wire.RTM_NEWLINK, 0, ifinfomsg(index) + wire.nested(wire.IFLA_AF_SPEC, values))


def _neighbors(session: Session, index: int) -> Iterable[Request]:
    kept = session.kept_neighbors(index, socket.AF_INET)
    return [Request(wire.RTM_NEWNEIGH, wire.NLM_F_CREATE, repeat_neighbor(one.raw, index)) for one in kept]


def _routes(session: Session, index: int) -> Iterable[Request]:
    """Creates the routes of a link again, of all tables, each before those that need it; not the kernel's own."""
    if not session.routes_through(index, socket.AF_INET):
        return []
    alike: dict[tuple[object, ...], list[Route]] = {}
    for route in _dump(session):
        alike.setdefault((route.table, route.to, route.tos, route.metric), []).append(route)
    groups = [group for group in alike.values() if any(leaves_by(route, index) for route in group)]
    # A gateway is looked up among routes of a narrower scope, which is the larger number.
    groups.sort(key=lambda group: -max(route.scope for route in group))
    return [request for group in groups for request in _in_order(group, index)]


def _dump(session: Session) -> list[Route]:
    bodies = session.rtnl.dump(wire.RTM_GETROUTE, rtmsg(socket.AF_INET))
    return [route for body in bodies if (route := decode.route(body))]


def _in_order(group: list[Route], index: int) -> Iterable[Request]:
    """Routes of one identity, of which the first counts: each in its former position."""
    stay = [number for number, route in enumerate(group) if not leaves_by(route, index)]
    before = group[: stay[0]] if stay else []
    after = [route for route in group[len(before) :] if leaves_by(route, index)]
    for route, flags in [*((route, PREPEND) for route in reversed(before)), *((route, APPEND) for route in after)]:
        if len({hop.index for hop in route.nexthops}) > 1:
            # It stays because of its other hops, and its hop on this link stays dead.
            yield Request(wire.RTM_DELROUTE, 0, route.raw)
        yield Request(wire.RTM_NEWROUTE, flags, route.raw)
