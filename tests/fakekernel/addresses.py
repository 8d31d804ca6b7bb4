"""Addresses, and the kernel's own routes to their networks (net/ipv4/devinet.c, net/ipv6/addrconf.c)."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import replace

from netd.errors import KernelError, kernel_error
from netd.kernel.rtnl import decode
from netd.kernel.rtnl.encode import address_body
from netd.kernel.rtnl.wire import RT_SCOPE_LINK, RT_TABLE_MAIN, RTPROT_KERNEL
from netd.model import operations as do
from netd.model.invalidation import Invalidation
from netd.model.state import IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, IFF_LOOPBACK, Address, Nexthop, Route

from . import options, routes
from .machine import FakeMachine
from .space import LOOPBACK, FakeNamespace

#: IP6_RT_PRIO_ADDRCONF.
IPV6_METRIC = 256


def put(machine: FakeMachine, space: FakeNamespace, index: int, op: do.PutAddress) -> None:
    """RTM_NEWADDR with NLM_F_REPLACE; KernelError EACCES where IPv6 is off."""
    link = space.at(index)
    found = space.addresses.setdefault(index, {})
    six = ":" in op.address
    if six and space.sysctls.get(f"net/ipv6/conf/{link.name}/disable_ipv6") != "0":
        raise kernel_error(errno.EACCES, "IPv6 is disabled on this device")
    ip = op.address.split("/")[0]
    # IPv6 has an address once: one of another length is only changed.
    cidr = next((other for other in found if six and other.split("/")[0] == ip), op.address)
    new = decode.address(address_body(op, index))
    assert new is not None
    found[cidr] = replace(new, address=cidr, flags=new.flags | IFA_F_PERMANENT)
    machine.announce(space, Invalidation("addresses", index=index))
    if link.up and not new.flags & IFA_F_NOPREFIXROUTE:
        _connect(machine, space, index, cidr)


def restore(machine: FakeMachine, space: FakeNamespace, index: int, op: do.RestoreAddress) -> None:
    """An address that was read before; KernelError EEXIST."""
    one = decode.address(op.raw)
    if one is None:
        raise kernel_error(errno.EINVAL, "")
    if any(other == one.address or (":" in other and _same(other, one)) for other in space.addresses.get(index, {})):
        raise kernel_error(errno.EEXIST, "Address already assigned")
    put(machine, space, index, do.PutAddress(op.netns, op.dev, one.address, bool(one.flags & IFA_F_NODAD), like=op.raw))


def _same(other: str, one: Address) -> bool:
    return other.split("/")[0] == one.address.split("/")[0]


def equip_loopback(space: FakeNamespace) -> None:
    """The kernel's own addresses of ``lo`` (IFAPROT_KERNEL_LO on that of IPv6)."""
    own = space.addresses.setdefault(LOOPBACK, {})
    own.setdefault("127.0.0.1/8", Address(LOOPBACK, "127.0.0.1/8", IFA_F_PERMANENT))
    if space.sysctls["net/ipv6/conf/lo/disable_ipv6"] == "0":
        own.setdefault("::1/128", Address(LOOPBACK, "::1/128", IFA_F_PERMANENT, protocol=1))


def delete_alone(machine: FakeMachine, space: FakeNamespace, index: int, address: str) -> None:
    """As netd.kernel.delete_address does it; KernelError EADDRNOTAVAIL."""
    _check(space, index, address)
    secondaries, before = list(_secondaries(space, index, address)), space.routes
    drop(machine, space, index, address)
    if secondaries and space.at(index).up:
        _connect(machine, space, index, secondaries[0])
    if any(":" not in other for other in space.addresses[index]):
        return
    lost = [route for route in before if route.protocol != RTPROT_KERNEL and route not in space.routes]
    for route in sorted(lost, key=lambda one: -one.scope):
        with contextlib.suppress(KernelError):
            routes.restore(machine, space, route.raw)


def delete(machine: FakeMachine, space: FakeNamespace, index: int, address: str) -> None:
    """RTM_DELADDR; KernelError EADDRNOTAVAIL. A first one takes the others of its network with it (IPv4)."""
    _check(space, index, address)
    for secondary in list(_secondaries(space, index, address)):
        drop(machine, space, index, secondary)
    drop(machine, space, index, address)


def _check(space: FakeNamespace, index: int, address: str) -> None:
    space.at(index)
    if address not in space.addresses.get(index, {}):
        raise kernel_error(errno.EADDRNOTAVAIL, "Address not found")


def _secondaries(space: FakeNamespace, index: int, address: str) -> Iterable[str]:
    if ":" in address:
        return []
    network = ipaddress.ip_interface(address).network
    alike = [one for one in space.addresses[index] if ":" not in one and ipaddress.ip_interface(one).network == network]
    return alike[1:] if alike[0] == address else []


def drop(machine: FakeMachine, space: FakeNamespace, index: int, address: str) -> None:
    """Removes an address, the route to its network, and routes that need it; the last of IPv4: all of its link."""
    found = space.addresses[index]
    del found[address]
    one = ipaddress.ip_interface(address)
    still = any(ipaddress.ip_interface(other).network == one.network for other in found)
    last = one.version == 4 and not any(":" not in other for other in found)

    def goes(route: Route) -> bool:
        on_link = any(hop.index == index for hop in route.nexthops)
        connected = route.protocol == RTPROT_KERNEL and route.to == str(one.network) and on_link and not still
        return connected or route.src == str(one.ip) or (last and on_link and route.family == socket.AF_INET)

    space.routes = [route for route in space.routes if not goes(route)]
    machine.announce(space, Invalidation("addresses", index=index))
    machine.announce(space, Invalidation("routes"))


def _connect(machine: FakeMachine, space: FakeNamespace, index: int, address: str) -> None:
    one = ipaddress.ip_interface(address)
    if one.network.num_addresses == 1 or space.at(index).flags & IFF_LOOPBACK:
        return
    six, table = one.version == 6, options.table_of(space, index) or RT_TABLE_MAIN
    route = Route(
        socket.AF_INET6 if six else socket.AF_INET, table, str(one.network), IPV6_METRIC if six else 0,
        protocol=RTPROT_KERNEL, scope=0 if six else RT_SCOPE_LINK, src="" if six else str(one.ip),
        nexthops=(Nexthop(index=index),),
    )  # fmt: skip
    identity = (route.table, route.to, route.metric, route.nexthops)
    if all((other.table, other.to, other.metric, other.nexthops) != identity for other in space.routes):
        routes.insert(space, route)
        machine.announce(space, Invalidation("routes"))
        machine.announce(space, Invalidation("addresses", index=index))


def connect_all(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    """The link came up."""
    for address in space.addresses.get(index, {}):
        _connect(machine, space, index, address)


def link_down(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    """Removes routes, neighbors and IPv6 addresses, without an event for each route."""
    routes.drop_of_link(machine, space, index)
    for table in (space.neighbors, space.proxies):
        for key in [key for key in table if key[0] == index]:
            del table[key]
    for address in [address for address in space.addresses.get(index, {}) if ":" in address]:
        drop(machine, space, index, address)
