"""Warnings about valid links and routes that make the machine unreachable, or lose packets."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_interface
from typing import NamedTuple

from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.kinds.base.kind import LOOPBACK
from netd.kinds.base.values import is_loopback
from netd.kinds.route import parse_route_key
from netd.model.desired import Desired
from netd.model.key import HOST, Key, LinkName
from netd.model.segment import AUTO

#: Of the calling thread: the daemon's first one may be in another namespace for a moment.
ROUTES4, ROUTES6 = "/proc/thread-self/net/route", "/proc/thread-self/net/ipv6_route"
DEFAULTS = frozenset({"0.0.0.0/0", "::/0"})
PEER = "peer."


class Gateway(NamedTuple):
    """A default route of this machine as it is now."""

    family: int
    metric: int
    via: str
    dev: str


def link_warnings(desired: Mapping[Key, Desired], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """In the order of the files."""
    layer3 = _with_layer3(desired.values())
    ends = (end for each in desired.values() for end in each.ends)
    created = {end.link.name for end in ends if end.link.netns == HOST and not end.foreign}
    routers = {end.link for each in desired.values() for end in each.ends if end.table}
    present: list[Gateway] | None = None
    for each in desired.values():
        text = _ports(each, layer3, routers) or _one_mac(each) or _tunnel(each, desired)
        if each.key.kind == "route" and each.key.netns == HOST and parse_route_key(each.key)[1] in DEFAULTS:
            if present is None:
                # A route over a link that the files create is netd's own, from before an edit.
                present = [route for route in default_routes() if route.dev not in created]
            text = text or _beside(each, present)
        if text and each.file in sources:
            path = each.origins[0].path
            yield sources[each.file].problem(path, titled(path, text), warning=True)


def _with_layer3(desired: Iterable[Desired]) -> set[LinkName]:
    """Links that have addresses or a gateway."""
    found: set[LinkName] = set()
    for each in desired:
        if each.key.kind == "address":
            found.add(LinkName(each.key.netns, each.key.name.partition("/")[0]))
        elif each.key.kind == "route":
            found |= {LinkName(each.key.netns, dev) for via, dev, _ in each.locator["hops"] if via and dev}
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
            dev, _, cidr = key.name.partition("/")
            if key.kind == "address" and key.netns == each.key.netns and str(ip_interface(cidr).ip) == str(local):
                return (
                    f"without dev its MTU is 1500, and full packets of the tunnel do not fit through {dev}: "
                    f'write dev = "{dev}", or mtu = "{AUTO}"'
                )
    return ""


def _beside(each: Desired, present: Iterable[Gateway]) -> str:
    """A default route that replaces the present one of this machine, from DHCP or a router."""
    _, to, metric = parse_route_key(each.key)
    hops = {(str(via), str(dev)) for via, dev, _ in each.locator["hops"]}
    if not all(dev not in ("", LOOPBACK) and os.path.exists(f"/sys/class/net/{dev}") for _, dev in hops):
        return ""  # a link that does not exist yet: the present default route cannot use it
    for route in present:
        same = any(via == route.via and dev in ("", route.dev) for via, dev in hops)
        if route.metric == metric and (route.family == 6) is (":" in to) and not same and not is_loopback(route.via):
            return (
                f"this machine has a default route of metric {metric} already, by {route.via} on {route.dev}: "
                f"only one of them counts; write another metric (gateway_metric)"
            )
    return ""


def default_routes() -> Iterator[Gateway]:
    """The default routes with a gateway in the table main, as /proc shows them."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(ROUTES4, encoding="ascii") as table:
        for words in [line.split() for line in table][1:]:
            if words[1] == words[7] == "00000000" and words[2] != "00000000":
                via = socket.inet_ntoa(int(words[2], 16).to_bytes(4, "little"))
                yield Gateway(4, int(words[6]), via, words[0])
    with contextlib.suppress(OSError, ValueError, IndexError), open(ROUTES6, encoding="ascii") as table:
        for words in map(str.split, table):
            if words[1] == "00" and int(words[4], 16) and words[9] != "lo":
                via = str(ip_address(int(words[4], 16).to_bytes(16)))
                yield Gateway(6, int(words[5], 16), via, words[9])
