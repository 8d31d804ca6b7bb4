"""Routes (net/ipv4/fib_trie.c, net/ipv6/route.c)."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import replace

from netd.errors import kernel_error
from netd.kernel.rtnl import decode
from netd.kernel.rtnl.encode import route_body
from netd.kernel.rtnl.wire import RT_SCOPE_LINK, RT_SCOPE_UNIVERSE
from netd.model import operations as do
from netd.model.invalidation import Invalidation
from netd.model.marks import PROTOCOL
from netd.model.state import Nexthop, Route

from .machine import FakeMachine
from .space import FakeNamespace

#: IP6_RT_PRIO_USER.
IPV6_METRIC = 1024


def insert(space: FakeNamespace, route: Route) -> None:
    """At the end of those of its identity, as a dump shows them."""
    space.routes.append(replace(route, raw=route_body(route)))


def create(machine: FakeMachine, space: FakeNamespace, op: do.CreateRoute, hops: tuple[Nexthop, ...]) -> None:
    """RTM_NEWROUTE; NLM_F_EXCL for IPv4 alone. ``hops`` have indexes, 0 where the kernel is to choose."""
    six = op.family == socket.AF_INET6
    direct = op.type == "unicast" and hops and not any(hop.via for hop in hops)
    route = Route(
        op.family, op.table, op.to, op.metric or (IPV6_METRIC if six else 0), op.type, op.protocol or PROTOCOL,
        RT_SCOPE_LINK if direct and not six else RT_SCOPE_UNIVERSE, 0, op.src, op.mtu, hops,
    )  # fmt: skip
    add(machine, space, route, exclusive=not six)


def add(machine: FakeMachine, space: FakeNamespace, route: Route, exclusive: bool) -> None:
    """Checked, and put behind others of its identity; KernelError EEXIST."""
    if route.type == "unicast":
        route = replace(route, nexthops=tuple(_resolved(space, hop, route) for hop in route.nexthops))
    if route.src and not _local(space, route.src):
        raise kernel_error(errno.EINVAL, "Invalid prefsrc address" if route.family == socket.AF_INET else "")
    for other in space.routes:
        same = _identity(other) == _identity(route)
        if same and (exclusive or other.nexthops == route.nexthops):
            raise kernel_error(errno.EEXIST, "")
    insert(space, route)
    machine.announce(space, Invalidation("routes"))


def _identity(route: Route) -> tuple[int, int, str, int, int]:
    return (route.family, route.table, route.to, route.metric, route.tos)


def _local(space: FakeNamespace, ip: str) -> bool:
    return any(address.split("/")[0] == ip for found in space.addresses.values() for address in found)


def _resolved(space: FakeNamespace, hop: Nexthop, route: Route) -> Nexthop:
    """The link of a hop: the one that is named, or the one whose network its gateway is in."""
    six = route.family == socket.AF_INET6
    if hop.index:
        link = space.at(hop.index)
        # Of IPv4 a gateway is looked up first.
        if not link.up and (six or not hop.via or hop.onlink):
            raise kernel_error(
                errno.ENETDOWN, "Device for nexthop is not up" if not six else "Nexthop device is not up"
            )
    if not hop.via or hop.onlink:
        return hop
    via = ipaddress.ip_address(hop.via)
    for other in space.routes:
        network = ipaddress.ip_network(other.to)
        if network.version != via.version or via not in network or len(other.nexthops) != 1:
            continue
        (found,) = other.nexthops
        if not found.via and hop.index in (0, found.index):
            return replace(hop, index=found.index)
    raise kernel_error(errno.EHOSTUNREACH if six else errno.ENETUNREACH, "" if six else "Nexthop has invalid gateway")


def delete(machine: FakeMachine, space: FakeNamespace, route: Route) -> None:
    """RTM_DELROUTE of what the message names; KernelError ESRCH."""
    for number, other in enumerate(space.routes):
        if replace(other, raw=b"") == replace(route, raw=b""):
            del space.routes[number]
            machine.announce(space, Invalidation("routes"))
            return
    raise kernel_error(errno.ESRCH, "")


def restore(machine: FakeMachine, space: FakeNamespace, raw: bytes, was: int = 0, index: int = 0) -> None:
    """A message as it was read: NLM_F_APPEND. ``index``: that link has taken the place of ``was``."""
    route = decode.route(raw)
    if route is None:
        raise kernel_error(errno.EINVAL, "")
    if index:
        moved = (replace(hop, index=index) if hop.index == was else hop for hop in route.nexthops)
        route = replace(route, nexthops=tuple(moved))
    add(machine, space, route, exclusive=False)


def drop_of_link(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    """All that leave by a link; without an event for each."""
    space.routes = [route for route in space.routes if not any(hop.index == index for hop in route.nexthops)]
