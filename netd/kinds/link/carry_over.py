"""Foreign objects on a link that netd has to recreate: they are deleted with it, and restored on the new one."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from netd.kinds.address import address_key
from netd.model.change import Phase, Step
from netd.model.desired import Desired, View
from netd.model.key import Key
from netd.model.marks import ADDRESS_PROTOCOL, GROUP, PROTOCOL
from netd.model.operations import DeleteRoute, Operation, RestoreAddress, RestoreNeighbor, RestorePort, RestoreRoute
from netd.model.segment import End
from netd.model.state import IFA_F_PERMANENT, RTPROT_RA, Link, Route, attributes

from .bridge_port import PORT_KEYS, PORT_SETTINGS, PREFIX

#: What an entry is that is not an address, in the ledger: instead of its CIDR.
ROUTE, NEIGHBOR, PORT = "", "neighbor", "port of "
#: include/uapi/linux/rtnetlink.h.
RTA_MULTIPATH = 9


def others_on(
    one: Desired, written: Mapping[str, Any] | None, view: View, is_own: Callable[[Key], bool]
) -> tuple[str, ...]:
    """Foreign addresses, routes, neighbors and bridge membership on those of its links that netd created.

    For ``restore_steps``. ``written``: {field: what netd wrote}; None where the ledger does not say (the link is being
    recreated already). ``is_own``: whether netd made the object of that key, where the kernel keeps no mark.
    """
    found: list[str] = []
    for end in one.ends:
        link = view.link(*end.link)
        if link is not None and link.group == GROUP:
            entries: list[tuple[str, Any]] = [] if written is None else [*_port(end, link, written, view)]
            entries += [(what, raw.hex()) for what, raw in _on(end, link, view, is_own)]
            found += [json.dumps([*end.link, link.index, *entry]) for entry in entries]
    return tuple(found)


def _port(end: End, link: Link, written: Mapping[str, Any], view: View) -> Iterable[tuple[str, Mapping[int, str]]]:
    """The bridge that it is a port of, unless that was declared and is not any more; and foreign port settings."""
    prefix = end.field.removesuffix("mtu")
    master = view.link_at(end.link.netns, link.master) if link.master else None
    if master is None:
        return
    contradicts = end.master is not None and end.master.name != master.name
    if contradicts or (end.master is None and written.get(prefix + "master") == master.name):
        return
    ours = {number for number, name in PORT_KEYS.items() if f"{prefix}{PREFIX}{name}" in written}
    theirs = {number: raw for number, raw in attributes(link.port).items() if number in PORT_SETTINGS - ours}
    yield PORT + master.name, {number: raw.hex() for number, raw in theirs.items()}


def _on(end: End, link: Link, view: View, is_own: Callable[[Key], bool]) -> Iterable[tuple[str, bytes]]:
    """(what, message)."""
    netns = end.link.netns
    for address in view.addresses(netns, link.index).values():
        if address.protocol == ADDRESS_PROTOCOL or not address.flags & IFA_F_PERMANENT:
            continue
        if ipaddress.ip_interface(address.address).is_link_local and ":" in address.address:
            continue
        if not is_own(address_key(end.link, address.address)):
            yield address.address, address.raw
    for neighbor in view.kept_neighbors(netns, link.index):
        if neighbor.protocol != PROTOCOL:
            yield NEIGHBOR, neighbor.raw
    for route in sorted(view.routes_through(netns, link.index), key=_after):
        if route.protocol not in (PROTOCOL, RTPROT_RA):
            yield ROUTE, route.raw


def _after(route: Route) -> tuple[bool, int]:
    """Routes without a gateway come first: the kernel looks up gateways in them (IPv4: of a larger scope)."""
    return any(hop.via for hop in route.nexthops), -route.scope


def restore_steps(foreign: Sequence[str], view: View) -> Iterable[Step]:
    """The steps that restore what is still missing."""
    for netns, dev, index, what, known in map(json.loads, foreign):
        if what.startswith(PORT):
            port = {int(number): bytes.fromhex(raw) for number, raw in known.items()}
            yield Step(Phase.SETTINGS, RestorePort(netns, dev, what.removeprefix(PORT), port))
        elif what == ROUTE:
            yield from (Step(Phase.ROUTE, each) for each in _route_back(netns, dev, index, bytes.fromhex(known)))
        elif what == NEIGHBOR:
            yield Step(Phase.NEIGHBOR, RestoreNeighbor(netns, dev, bytes.fromhex(known)))
        elif not _is_there(netns, dev, index, what, view):
            yield Step(Phase.ADDRESS, RestoreAddress(netns, dev, bytes.fromhex(known)))


def _route_back(netns: str, dev: str, index: int, raw: bytes) -> Iterable[Operation]:
    if raw[0] == socket.AF_INET and RTA_MULTIPATH in attributes(raw[12:]):
        # If the route still exists with its other hops, the hop on the former link is dead for good.
        yield DeleteRoute(netns, Route(raw[0], 0, "", 0, raw=raw))
    yield RestoreRoute(netns, raw, dev, index)


def _is_there(netns: str, dev: str, index: int, cidr: str, view: View) -> bool:
    """Whether an address is on the link that replaced the one of that index."""
    link = view.link(netns, dev)
    return link is not None and link.index != index and cidr in view.addresses(netns, link.index)
