"""Warnings about addresses: gateways outside their link's networks, invalid host addresses, and duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network

from netd.config.diagnostics.positions import TomlPath
from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.config.facts import assigned_address, routing
from netd.config.merge.merge import find, table_at
from netd.kinds.base.kind import LOOPBACK
from netd.kinds.base.roles import Routing
from netd.kinds.base.values import is_loopback
from netd.kinds.link.segment import Segments
from netd.model.desired import Desired
from netd.model.key import Key, LinkName

from .mtu import DeclaredOnly

Interface = IPv4Interface | IPv6Interface
#: What to write if the gateway is on the link nevertheless.
ONLINK = " (if it is on the link: write it as [[route]] with onlink = true)"


@dataclass(slots=True)
class _Addresses:
    """What the files say of each link: its addresses, and the networks that routes without a gateway lead to."""

    interfaces: dict[Key, Interface] = field(default_factory=dict)
    own: dict[LinkName, list[tuple[Interface, Desired]]] = field(default_factory=dict)
    routed: dict[LinkName, list[str]] = field(default_factory=dict)
    foreign: set[LinkName] = field(default_factory=set)


def address_warnings(desired: Mapping[Key, Desired], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """In the order of the files."""
    known = _known(desired.values())
    twice = dict(_twice(desired.values(), known))
    for each in desired.values():
        if each.file not in sources:
            continue
        source, path = sources[each.file], each.origins[0].path
        if each.key in known.interfaces:
            text = _unusable(known.interfaces[each.key]) or twice.get(each.key, "")
            if text:
                yield source.problem(path, titled(path, text), warning=True)
        elif (route := routing(each)) is not None:
            for via, text in _gateways(each.key.netns, route, known):
                inside: TomlPath = find(table_at(source.data, path), via)
                yield source.problem(path + inside, titled(path + inside, text), warning=True)


def _known(desired: Iterable[Desired]) -> _Addresses:
    known = _Addresses()
    for each in desired:
        known.foreign |= {end.link for end in each.ends if end.foreign}
        assigned, route = assigned_address(each.key), routing(each)
        if assigned is not None:
            interface = known.interfaces[each.key] = ip_interface(assigned[1])
            known.own.setdefault(assigned[0], []).append((interface, each))
        elif route is not None:
            for hop in route.hops:
                if hop.dev and not hop.via:
                    known.routed.setdefault(LinkName(each.key.netns, hop.dev), []).append(route.to)
    return known


def _gateways(netns: str, route: Routing, known: _Addresses) -> Iterator[tuple[str, str]]:
    """Each gateway of a route that its link cannot reach, with what to say of it."""
    if route.onlink:
        return
    for via, dev in route.hops:
        link = LinkName(netns, dev)
        if not via or not dev or link in known.foreign:
            continue  # other programs may have added addresses to it
        address = ip_address(via)
        own = [interface for interface, _ in known.own.get(link, ()) if interface.version == address.version]
        if not own or address.is_link_local or is_loopback(via):
            continue
        networks = [interface.network for interface in own]
        networks += [ip_network(to) for to in known.routed.get(link, ()) if ":" in to or "." in to]
        if not any(address in network for network in networks if network.version == address.version):
            held = ", ".join(str(interface) for interface in own)
            yield via, f"'{via}' is not in a network of {link} ({held}): the kernel refuses such a gateway{ONLINK}"


def _unusable(interface: Interface) -> str:
    """Why an address cannot be that of a host; "" where it can."""
    network, address = interface.network, interface.ip
    if network.prefixlen >= network.max_prefixlen - 1:
        return ""
    if address == network.network_address:
        what = "the network's own address" if interface.version == 4 else "the address of all routers of its network"
        return f"'{interface}' is {what}: write the address of a host, such as {address + 1}/{network.prefixlen}"
    if interface.version == 4 and address == network.broadcast_address:
        return f"'{interface}' is the broadcast address of its network: write the address of a host"
    return ""


def _twice(desired: Iterable[Desired], known: _Addresses) -> Iterator[tuple[Key, str]]:
    """Addresses that another link of the same segment has as well: packets then reach one or the other."""
    holders: dict[str, list[tuple[LinkName, Desired]]] = {}
    for link, found in known.own.items():
        for interface, each in found:
            if link.name != LOOPBACK:
                holders.setdefault(str(interface.ip), []).append((link, each))
    if all(len(each) == 1 for each in holders.values()):
        return
    graph = Segments((end for each in desired for end in each.ends), DeclaredOnly())
    for address, having in holders.items():
        seen: list[tuple[frozenset[LinkName], LinkName]] = []
        for link, each in having if len(having) > 1 else ():
            first = next((other for members, other in seen if link in members and other != link), None)
            if first is not None:
                yield each.key, f"'{address}' is also an address of {first}, on the same segment"
            else:
                seen.append((graph.segment(link).members, link))
