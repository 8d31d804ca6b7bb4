"""What others put on a link that netd made and must make again: it dies with the link, and comes back on the next."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Sequence

from netd.model.change import Phase, Step
from netd.model.desired import View
from netd.model.key import Key, LinkName
from netd.model.marks import ADDRESS_PROTOCOL, GROUP, PROTOCOL
from netd.model.operations import RestoreAddress, RestoreRoute
from netd.model.state import IFA_F_PERMANENT, RTPROT_KERNEL, RTPROT_RA, Link

#: Routes that come by themselves.
OWN_ACCORD = (RTPROT_KERNEL, RTPROT_RA)


def others_on(links: Iterable[LinkName], view: View, is_own: Callable[[Key], bool]) -> tuple[str, ...]:
    """Addresses and single-hop routes of others on those of these links that netd made, for ``others_back``.

    ``is_own``: whether netd made the object of that key, where the kernel keeps no mark on it.
    """
    found: list[str] = []
    for name in links:
        link = view.link(*name)
        if link is not None and link.group == GROUP:
            found += (
                json.dumps([*name, link.index, address, raw.hex()]) for address, raw in _on(name, link, view, is_own)
            )
    return tuple(found)


def _on(name: LinkName, link: Link, view: View, is_own: Callable[[Key], bool]) -> Iterable[tuple[str, bytes]]:
    """(CIDR, message) of addresses, then ("", message) of routes."""
    for address in view.addresses(name.netns, link.index).values():
        if address.protocol == ADDRESS_PROTOCOL or not address.flags & IFA_F_PERMANENT:
            continue
        if ipaddress.ip_interface(address.address).is_link_local and ":" in address.address:
            continue
        if not is_own(Key(name.netns, "address", f"{name.name}/{address.address}")):
            yield address.address, address.raw
    for route in view.all_routes(name.netns):
        if route.protocol not in (PROTOCOL, *OWN_ACCORD) and [hop.index for hop in route.nexthops] == [link.index]:
            yield "", route.raw


def others_back(foreign: Sequence[str], view: View) -> Iterable[Step]:
    """The steps that put back what is not there again."""
    for netns, dev, index, address, raw in map(json.loads, foreign):
        link = view.link(netns, dev)
        there = {} if link is None or link.index == index else view.addresses(netns, link.index)
        if not address:
            yield Step(Phase.ROUTE, RestoreRoute(netns, bytes.fromhex(raw), dev))
        elif address not in there:
            yield Step(Phase.ADDRESS, RestoreAddress(netns, dev, bytes.fromhex(raw)))
