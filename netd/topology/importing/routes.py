"""Routes, policy rules and neighbors."""

from __future__ import annotations

import socket
from typing import Any

from netd.kinds.base.rule_values import ACTIONS
from netd.kinds.base.values import TABLE_NAMES
from netd.kinds.neighbor import NeighborTable
from netd.kinds.route import DEFAULT, IPV6_METRIC, RouteTable
from netd.kinds.rule import RuleTable
from netd.model.key import LinkName
from netd.model.marks import PROTOCOL
from netd.model.state import NUD_PERMANENT, Neighbor, PolicyRule, Route, attributes
from netd.topology.topology import Topology

from .draft import Draft
from .facts import Facts

MAIN, LOCAL = 254, 255
#: rtm_protocol of routes that a person, a script or netd made: unspecified, boot (ip), static.
BY_HAND = frozenset({0, 3, 4, PROTOCOL})
#: Of other origins: who creates them again (rtnetlink.h, /etc/iproute2/rt_protos).
DAEMONS = {
    9: "a router's advertisement", 11: "zebra", 12: "bird", 16: "DHCP", 18: "systemd-networkd", 42: "babel",
    186: "BGP", 187: "IS-IS", 188: "OSPF", 189: "RIP", 192: "EIGRP",
}  # fmt: skip
KERNEL, ADVERTISED = 2, 9
TYPES = frozenset({"unicast", "blackhole", "unreachable", "prohibit"})
#: What a table can say: RTA_DST, OIF, GATEWAY, PRIORITY, PREFSRC, METRICS, MULTIPATH, TABLE, PREF; RTAX_MTU.
SAYABLE, METRICS, SAYABLE_METRICS = frozenset({1, 4, 5, 6, 7, 8, 9, 15, 20}), 8, frozenset({2})
#: The kernel's own rules (fib_default_rules_init()).
KERNEL_PRIORITIES = frozenset({0, 32766, 32767})


def importable(route: Route, everything: bool = False) -> bool:
    """Whether somebody wrote it, so that a file should have it."""
    if route.protocol == KERNEL or route.table == LOCAL or route.type not in TYPES:
        return False
    return everything or route.protocol in BY_HAND


def is_plain(route: Route) -> bool:
    """Whether it is one hop, and nothing but that."""
    return route.type == "unicast" and len(route.nexthops) == 1 and not (route.src or route.mtu or unsayable(route))


def unsayable(route: Route) -> str:
    """What a table cannot say of a route."""
    found = attributes(route.raw[12:])
    others = set(found) - SAYABLE
    inner = set(attributes(found.get(METRICS, b""))) - SAYABLE_METRICS
    parts = [f"attribute {number}" for number in sorted(others)] + [f"metric {number}" for number in sorted(inner)]
    return ", ".join(parts + (["tos"] if route.tos else []))


class RouteWriter:
    """``said``: routes that are gateways of links."""

    def __init__(self, facts: Facts, draft: Draft, said: set[tuple[str, Route]]) -> None:
        self._facts = facts
        self._topology = facts.topology
        self._draft = draft
        self._said = said

    def write(self, netns: str) -> None:
        """The routes, rules and neighbors of one namespace."""
        for route in self._facts.extra.routes(netns):
            if (netns, route) not in self._said:
                self._route(netns, route)
        for rule in self._topology.view.all_rules(netns):
            self._rule(netns, rule)
        for at in self._topology.links(netns):
            link = self._topology.link(at)
            for one in self._topology.view.kept_neighbors(netns, link.index) if link is not None else ():
                self._neighbor(at, one)

    def _route(self, netns: str, route: Route) -> None:
        if not importable(route, self._facts.everything):
            if route.protocol in DAEMONS and route.protocol != ADVERTISED and route.table != LOCAL:
                self._draft.note(netns, f"route to {route.to}: {DAEMONS[route.protocol]} creates it")
            return
        links = [self._topology.at(netns, hop.index) for hop in route.nexthops]
        strangers = {self._facts.skipped[at] for at in links if at is not None and at in self._facts.skipped}
        if strangers:
            self._draft.note(netns, f"route to {route.to}: it leads to a link of {strangers.pop()}")
            return
        why = unsayable(route)
        if why:
            self._draft.note(netns, f"route to {route.to}: without its {why}")
        self._draft.add(netns, RouteTable, ("route",), route_values(route, links, self._usual_table(links)), array=True)

    def _usual_table(self, links: list[LinkName | None]) -> int:
        """That of the VRF that its link is in, else main."""
        return next((table_of(self._topology, at) for at in links if at is not None), MAIN)

    def _rule(self, netns: str, rule: PolicyRule) -> None:
        if rule.priority in KERNEL_PRIORITIES or (rule.protocol not in BY_HAND and not self._facts.everything):
            return
        if rule.other or rule.action not in ACTIONS:
            self._draft.note(netns, f"rule {rule.priority}: it asks for, or does, what [[rule]] cannot say")
            return
        self._draft.add(netns, RuleTable, ("rule",), rule_values(rule), array=True)

    def _neighbor(self, at: LinkName, one: Neighbor) -> None:
        link = self._topology.link(at)
        if at in self._facts.skipped or link is None:
            return
        if not one.state & NUD_PERMANENT:
            proxy = {"address": one.address, "dev": at.name, "proxy": True}
            self._draft.add(at.netns, NeighborTable, ("neighbor",), proxy, array=True)
            return
        values = {"address": one.address, "mac": one.mac, "dev": at.name}
        if one.mac not in ("", "00:00:00:00:00:00") and not is_group(one):
            self._draft.add(at.netns, NeighborTable, ("neighbor",), values, array=True)


def table_of(topology: Topology, at: LinkName) -> int:
    """The table that routes through a link are in if none is written: that of its VRF, else main."""
    master = topology.master(at)
    table = topology.options(master).get("table") if master is not None else None
    return table if isinstance(table, int) else MAIN


def is_group(one: Neighbor) -> bool:
    """Whether the kernel made it for a multicast group."""
    return one.mac.startswith(("33:33:", "01:00:5e:")) or one.address in ("255.255.255.255",)


def route_values(route: Route, links: list[LinkName | None], usual_table: int) -> dict[str, Any]:
    """A table [[route]]. ``usual_table``: the one that it is in if none is written."""
    default = route.to in DEFAULT.values()
    found: dict[str, Any] = {"to": "default" if default else route.to}
    hops = [
        {"via": hop.via, "dev": at.name if at is not None else "", "weight": hop.weight}
        for hop, at in zip(route.nexthops, links, strict=True)
    ]
    plain = [{key: value for key, value in hop.items() if value and (key, value) != ("weight", 1)} for hop in hops]
    if route.type != "unicast":
        found["type"] = route.type
        plain = []
    if len(plain) == 1:
        found |= {key: value for key, value in plain[0].items() if key != "weight"}
    elif plain:
        found["nexthops"] = plain
    if default and route.family == socket.AF_INET6 and not any(hop.via for hop in route.nexthops) and not route.src:
        # The family is not in "default".
        found["to"] = DEFAULT[6]
    more = {"src": route.src, "mtu": route.mtu, "onlink": any(hop.onlink for hop in route.nexthops)}
    usual = IPV6_METRIC if route.family == socket.AF_INET6 else 0
    if route.metric != usual:
        found["metric"] = route.metric
    if route.table != usual_table:
        found["table"] = TABLE_NAMES.get(route.table, route.table)
    return found | {key: value for key, value in more.items() if value}


def rule_values(rule: PolicyRule) -> dict[str, Any]:
    """A table [[rule]]."""
    found: dict[str, Any] = {"priority": rule.priority}
    found |= {key: value for key, value in (("from", rule.source), ("to", rule.to)) if value}
    found |= {key: value for key, value in (("iif", rule.iif), ("oif", rule.oif)) if value}
    if rule.fwmark or rule.fwmask not in (0, 0xFFFFFFFF):
        mark = f"{rule.fwmark:#x}"
        found["fwmark"] = mark if rule.fwmask in (0, 0xFFFFFFFF) else f"{mark}/{rule.fwmask:#x}"
    more: dict[str, Any] = {"ipproto": rule.ipproto, "sport": rule.sport, "dport": rule.dport, "not": rule.inverted}
    found |= {key: value for key, value in more.items() if value}
    if ACTIONS[rule.action] != "unicast":
        found["type"] = ACTIONS[rule.action]
    elif rule.table != MAIN:
        found["table"] = TABLE_NAMES.get(rule.table, rule.table)
    if rule.suppress_prefixlength >= 0:
        found["suppress_prefixlength"] = rule.suppress_prefixlength
    if rule.family == socket.AF_INET6 and not (rule.source or rule.to):
        found["family"] = "ipv6"
    return found
