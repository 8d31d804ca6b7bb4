"""Warnings about valid links and routes that make the machine unreachable, or lose packets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_interface

from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.config.facts import assigned_address, routing
from netd.kinds import registry
from netd.kinds.base.kind import LOOPBACK
from netd.kinds.base.roles import OfBridge, Routing
from netd.kinds.base.values import is_loopback
from netd.model.desired import Desired
from netd.model.key import HOST, Key, LinkName
from netd.model.segment import AUTO

from .default_routes import Gateway, default_routes

DEFAULTS = frozenset({"0.0.0.0/0", "::/0"})
PEER = "peer."


def link_warnings(desired: Mapping[Key, Desired], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """In the order of the files."""
    layer3 = _with_layer3(desired.values())
    routers = {end.link for each in desired.values() for end in each.ends if end.table}
    bridges = {end.link: each for each in desired.values() for end in each.ends if end.joins == "ports"}
    present: list[Gateway] | None = None
    for each in desired.values():
        text = _ports(each, layer3, routers) or _one_mac(each) or _tunnel(each, desired) or _vlans(each, bridges)
        route = routing(each) if each.key.netns == HOST else None
        if route is not None and route.to in DEFAULTS:
            if present is None:
                present = list(default_routes())
            text = text or _beside(route, present)
        if text and each.file in sources:
            path = each.origins[0].path
            yield sources[each.file].problem(path, titled(path, text), warning=True)


def _with_layer3(desired: Iterable[Desired]) -> set[LinkName]:
    """Links that have addresses or a gateway."""
    found: set[LinkName] = set()
    for each in desired:
        assigned, route = assigned_address(each.key), routing(each)
        if assigned is not None:
            found.add(assigned[0])
        elif route is not None:
            found |= {LinkName(each.key.netns, dev) for via, dev in route.hops if via and dev}
    return found


def _ports(each: Desired, layer3: set[LinkName], routers: set[LinkName]) -> str:
    """A port of a bridge with addresses of its own: what it receives goes to the bridge, and never to them."""
    for end in each.ends:
        if end.master is None or end.master in routers:
            continue
        if end.link in layer3 or (end.foreign and end.link.netns == HOST and _carries_default(end.link.name)):
            return (
                f"{end.link} is a port of {end.master} and has addresses or the default route itself: incoming frames "
                f"go to the bridge, so this machine is no longer reachable through them: move them to {end.master}"
            )
    return ""


def _vlans(each: Desired, bridges: Mapping[LinkName, Desired]) -> str:
    """VLANs on a bridge that does not look at them."""
    if not isinstance(registry()[each.key.kind], OfBridge):
        return ""
    bridge = bridges.get(each.requires[-1])
    if bridge is None or bridge.fields.get("vlan_filtering") is True:
        return ""
    return f"VLANs have no effect: write vlan_filtering = true in {bridge.key}"


def _carries_default(name: str) -> bool:
    return any(route.dev == name for route in default_routes())


def _one_mac(each: Desired) -> str:
    """A pair of which both ends have the same MAC address."""
    mac = each.fields.get("mac")
    if mac is not None and mac == each.fields.get(PEER + "mac"):
        return f"both ends have the MAC address {mac}: they cannot reach each other; change one of them"
    return ""


def _tunnel(each: Desired, desired: Mapping[Key, Desired]) -> str:
    """A tunnel over IPv6 that names no link gets an MTU of 1500, and no router cuts what does not fit."""
    for end in each.ends:
        local = each.locator.get("local") or each.fields.get("local")
        tunnel = end.tunnel
        if tunnel is None or tunnel.dev or tunnel.by_route or end.mtu is not None or ":" not in str(local or ""):
            continue
        for key in desired:
            link, cidr = assigned_address(key) or (None, "")
            if link is not None and link.netns == each.key.netns and str(ip_interface(cidr).ip) == str(local):
                return (
                    f"without dev its MTU is 1500, and full packets of the tunnel do not fit through {link.name}: "
                    f'write dev = "{link.name}", or mtu = "{AUTO}"'
                )
    return ""


def _beside(declared: Routing, present: Iterable[Gateway]) -> str:
    """A default route that replaces the present one of this machine, from DHCP or a router."""
    metric, hops = declared.metric, set(declared.hops)
    if not all(dev not in ("", LOOPBACK) and os.path.exists(f"/sys/class/net/{dev}") for _, dev in hops):
        return ""  # a link that does not exist yet: the present default route cannot use it
    for route in present:
        same = any(via == route.via and dev in ("", route.dev) for via, dev in hops)
        alike = route.metric == metric and (route.family == 6) is (":" in declared.to)
        if alike and not same and not is_loopback(route.via):
            return (
                f"this machine has a default route of metric {metric} already, by {route.via} on {route.dev}: "
                f"only one of them counts; write another metric (gateway_metric)"
            )
    return ""
