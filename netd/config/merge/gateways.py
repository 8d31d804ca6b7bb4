"""Gateways without a ``dev``: the declared links whose addresses reach them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from netd.config.facts import assigned_address, routing
from netd.model.desired import Desired
from netd.model.key import Key, LinkName


def with_ways(desired: Mapping[Key, Desired]) -> Mapping[Key, Desired]:
    """The same objects; each route has the links that its gateways need."""
    routes = ((key, routing(each)) for key, each in desired.items())
    gateways = {key: [via for via, dev in route.hops if via and not dev] for key, route in routes if route is not None}
    if not any(gateways.values()):
        return desired
    networks: dict[str, list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, LinkName]]] = {}
    for key in desired:
        if (assigned := assigned_address(key)) is not None:
            link, cidr = assigned
            networks.setdefault(key.netns, []).append((ipaddress.ip_interface(cidr).network, link))
    found = dict(desired)
    for key, addresses in gateways.items():
        ways = {}
        for via in addresses:
            address = ipaddress.ip_address(via)
            ways[via] = tuple(link for network, link in networks.get(key.netns, ()) if address in network)
        if any(ways.values()):
            found[key] = replace(desired[key], gateways={via: links for via, links in ways.items() if links})
    return found
