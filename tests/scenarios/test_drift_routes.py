"""Addresses, routes, rules and neighbours: one line per field that can drift."""

from __future__ import annotations

import pytest

from tests.scenarios.drift import BRIDGE, PAIR, Drift, addresses, comes_back, prints, route
from tests.support.stage import Stage

ROUTES = """
# host pings 10.1.0.253 fd01::253 10.2.0.1 fd02::1 10.4.0.1 fd04::1
# host pings 10.5.0.1 from 10.1.0.1

[veth.v0]
addresses = ["10.1.0.1/24", "10.1.0.9/24", "fd01::1/64"]
nodad = true

[veth.v0.peer]
name = "v1"
namespace = "far"
mac = "02:00:00:00:00:30"
addresses = ["10.1.0.253/24", "10.1.0.254/24", "fd01::253/64", "fd01::254/64"]
nodad = true

[veth.side]
peer = { name = "side-peer" }

[namespace.far.interface.lo]
addresses = ["10.2.0.1/32", "10.4.0.1/32", "10.5.0.1/32", "fd02::1/128", "fd04::1/128"]

[[route]]
to = "10.2.0.0/24"
via = "10.1.0.254"
src = "10.1.0.9"
metric = 50
mtu = 1300

[[route]]
to = "fd02::/64"
via = "fd01::254"
mtu = 1300

[[route]]
to = "10.3.0.0/24"
type = "unreachable"

[[route]]
to = "fd03::/64"
type = "prohibit"

[[route]]
to = "10.4.0.0/24"
nexthops = [{ via = "10.1.0.253", weight = 2 }, { via = "10.1.0.254" }]

[[route]]
to = "fd04::/64"
nexthops = [{ via = "fd01::253", weight = 2 }, { via = "fd01::254" }]

[[route]]
to = "default"
via = "10.1.0.254"
table = 100

[[rule]]
priority = 1000
from = "10.1.0.0/24"
table = 100

[[rule]]
priority = 1000
to = "fd09::/64"
iif = "v0"
fwmark = 5
table = 101

[[neighbor]]
address = "10.1.0.254"
mac = "02:00:00:00:00:30"
dev = "v0"

[[neighbor]]
address = "fd01::254"
mac = "02:00:00:00:00:30"
dev = "v0"
"""

RULES = """
[[namespace.r.rule]]
priority = 1000
from = "10.1.0.0/24"
table = 100

[[namespace.r.rule]]
priority = 1000
from = "fd01::/64"
table = 100
"""

CASES = [
    # Addresses
    Drift("address-deleted", PAIR, "ip -n a addr del 10.1.0.1/24 dev eth0", addresses("eth0", "a"),
          "a:address/eth0/10.1.0.1/24 create"),
    Drift("address-deleted-ipv6", PAIR, "ip -n a addr del fd01::1/64 dev eth0", addresses("eth0", "a"),
          "a:address/eth0/fd01::1/64 create"),
    Drift("address-flushed", PAIR, "ip -n a addr flush dev eth0", addresses("eth0", "a"),
          "a:address/eth0/10.1.0.1/24 create"),
    Drift("address-other-length", BRIDGE, "ip addr del 10.1.0.1/24 dev br0; ip addr add 10.1.0.1/16 dev br0",
          prints("ip addr show dev br0", "10.1.0.1/24"),
          "address/br0/10.1.0.1/24 create"),
    Drift("address-on-the-host", BRIDGE, "ip addr del fd01::1/64 dev br0", addresses("br0"),
          "address/br0/fd01::1/64 create"),
    Drift("address-replaced", PAIR, "ip -n a addr replace 10.1.0.1/24 dev eth0 valid_lft 900 preferred_lft 900",
          lambda host: "sec" not in host.run("ip", "-4", "addr", "show", "dev", "eth0", ns="a"),
          "a:address/eth0/10.1.0.1/24 update lifetime"),
    Drift("address-replaced-ipv6", PAIR, "ip -n a addr replace fd01::1/64 dev eth0 valid_lft 900 preferred_lft 900",
          lambda host: "sec" not in host.run("ip", "-6", "addr", "show", "dev", "eth0", ns="a"),
          "a:address/eth0/fd01::1/64 update lifetime"),
    Drift("address-without-its-network", BRIDGE, "ip route del 10.1.0.0/24 dev br0", None,
          "address/br0/10.1.0.1/24 update connected"),
    Drift("address-without-its-network-ipv6", BRIDGE, "ip -6 route del fd01::/64 dev br0", None,
          "address/br0/fd01::1/64 update connected"),
    Drift("address-noprefixroute-ipv6", BRIDGE, "ip addr change fd01::1/64 dev br0 noprefixroute", None,
          "address/br0/fd01::1/64 update"),
    Drift("address-deleted-with-the-second-of-its-network", ROUTES, "ip addr del 10.1.0.1/24 dev v0", None,
          "address/v0/10.1.0.9/24 create"),
    Drift("address-on-another-link", ROUTES, "ip addr del 10.1.0.9/24 dev v0; ip addr add 10.1.0.9/24 dev side", None,
          "address/v0/10.1.0.9/24 create"),
    Drift("addresses-flushed-ipv6", PAIR, "ip -n a -6 addr flush dev eth0", addresses("eth0", "a"),
          "a:address/eth0/fd01::1/64 create"),
    # Routes
    Drift("gateway-deleted", PAIR, "ip -n a route del default", route("default", ns="a"),
          "a:route/main/0.0.0.0/0/0 create hops"),
    Drift("gateway-deleted-ipv6", PAIR, "ip -n a -6 route del default", route("default", ns="a"),
          "a:route/main/::/0/1024 create hops"),
    Drift("gateway-replaced", PAIR, "ip -n a route replace default via 10.1.0.77", route("default", ns="a"),
          "a:route/main/0.0.0.0/0/0 update hops"),
    Drift("route-deleted", ROUTES, "ip route del 10.2.0.0/24", route("10.2.0.0/24"),
          "route/main/10.2.0.0/24/50 create hops"),
    Drift("route-via", ROUTES, "ip route replace 10.2.0.0/24 via 10.1.0.77 metric 50", route("10.2.0.0/24"),
          "route/main/10.2.0.0/24/50 update hops"),
    Drift("route-src", ROUTES, "ip route replace 10.2.0.0/24 via 10.1.0.254 metric 50 mtu 1300 src 10.1.0.1",
          route("10.2.0.0/24"),
          "route/main/10.2.0.0/24/50 update src"),
    Drift("route-mtu", ROUTES, "ip route replace 10.2.0.0/24 via 10.1.0.254 metric 50 src 10.1.0.9 mtu 1200",
          route("10.2.0.0/24"),
          "route/main/10.2.0.0/24/50 update mtu"),
    Drift("route-metric", ROUTES, "ip route del 10.2.0.0/24; ip route add 10.2.0.0/24 via 10.1.0.254 metric 60",
          prints("ip route", "metric 50"),
          "route/main/10.2.0.0/24/50 create hops"),
    Drift("route-deleted-ipv6", ROUTES, "ip -6 route del fd02::/64", route("fd02::/64"),
          "route/main/fd02::/64/1024 create hops"),
    Drift("route-via-ipv6", ROUTES, "ip -6 route replace fd02::/64 via fd01::77", route("fd02::/64"),
          "route/main/fd02::/64/1024 update hops"),
    Drift("route-appended-ipv6", ROUTES, "ip -6 route append fd02::/64 via fd01::77", route("fd02::/64"),
          "route/main/fd02::/64/1024 update hops"),
    Drift("route-type", ROUTES, "ip route replace blackhole 10.3.0.0/24", route("10.3.0.0/24"),
          "route/main/10.3.0.0/24/0 update type"),
    Drift("route-type-ipv6", ROUTES, "ip -6 route del fd03::/64; ip -6 route add blackhole fd03::/64",
          route("fd03::/64"),
          "route/main/fd03::/64/1024 update type"),
    Drift("route-hop", ROUTES, "ip route replace 10.4.0.0/24 nexthop via 10.1.0.253 weight 2 nexthop via 10.1.0.77",
          route("10.4.0.0/24"),
          "route/main/10.4.0.0/24/0 update hops"),
    Drift("route-weight", ROUTES, "ip route replace 10.4.0.0/24 nexthop via 10.1.0.253 nexthop via 10.1.0.254",
          route("10.4.0.0/24"),
          "route/main/10.4.0.0/24/0 update hops"),
    Drift("route-hop-deleted-ipv6", ROUTES, "ip -6 route del fd04::/64 via fd01::254", route("fd04::/64"),
          "route/main/fd04::/64/1024 update hops"),
    Drift("route-in-a-table", ROUTES, "ip route flush table 100", route("table", "100"),
          "route/100/0.0.0.0/0/0 create hops"),
    Drift("route-doubled", ROUTES, "ip route append 10.2.0.0/24 via 10.1.0.77 metric 50",
          lambda host: len(host.routes("10.2.0.0/24")) == 1, "route/main/10.2.0.0/24/50 update duplicates"),
    Drift("route-doubled-before", ROUTES, "ip route prepend 10.2.0.0/24 via 10.1.0.77 metric 50",
          lambda host: len(host.routes("10.2.0.0/24")) == 1, "route/main/10.2.0.0/24/50 update hops"),
    Drift("route-doubled-other-tos", ROUTES, "ip route add 10.2.0.0/24 via 10.1.0.77 metric 50 tos 0x10",
          lambda host: len(host.routes("10.2.0.0/24")) == 1, "route/main/10.2.0.0/24/50 update duplicates"),
    Drift("gateway-doubled-ipv6", PAIR, "ip -n a -6 route append default via fd01::77 dev eth0",
          route("default", ns="a"), "a:route/main/::/0/1024 update hops"),
    Drift("route-in-another-table", ROUTES, """
          ip route del default table 100; ip route add default via 10.1.0.254 table 200""", None,
          "route/100/0.0.0.0/0/0 create"),
    Drift("routes-flushed", PAIR, "ip -n a route flush table main; ip -n a -6 route flush table main",
          route("default", ns="a"), "a:route/main/0.0.0.0/0/0 create"),
    Drift("route-through-a-nexthop-object", ROUTES, """
          ip nexthop replace id 7 via 10.1.0.77 dev v0
          ip route replace 10.2.0.0/24 nhid 7 metric 50""", route("10.2.0.0/24"),
          "route/main/10.2.0.0/24/50 update hops"),
    # Rules
    Drift("rule-deleted", ROUTES, "ip rule del priority 1000", prints("ip rule", "1000:\tfrom 10.1.0.0/24 lookup 100"),
          "rule/ip/1000 create"),
    Drift("rule-deleted-ipv6", ROUTES, "ip -6 rule del priority 1000", prints("ip -6 rule", "fwmark 0x5 iif v0"),
          "rule/ip6/1000 create"),
    Drift("rule-replaced", ROUTES, "ip rule del priority 1000; ip rule add priority 1000 from 10.1.0.0/24 table 77",
          prints("ip rule", "1000:\tfrom 10.1.0.0/24 lookup 100"),
          "rule/ip/1000 recreate"),
    Drift("rule-replaced-ipv6", ROUTES, """
          ip -6 rule del priority 1000; ip -6 rule add priority 1000 to fd09::/64 fwmark 5 iif v0 table 77""",
          prints("ip -6 rule", "fwmark 0x5 iif v0 lookup 101"), "rule/ip6/1000 recreate"),
    Drift("rules-flushed", RULES, "ip -n r rule flush; ip -n r -6 rule flush",
          prints("ip rule; ip -6 rule", "lookup 100", ns="r"), "r:rule/ip/1000 create", spoilt="r:rule/.*"),
    # Neighbours
    Drift("neighbor-deleted", ROUTES, "ip neigh del 10.1.0.254 dev v0", prints("ip neigh", "10.1.0.254 dev v0 lladdr"),
          "neighbor/v0/10.1.0.254 create"),
    Drift("neighbor-mac", ROUTES, "ip neigh replace 10.1.0.254 lladdr 02:00:00:00:00:99 dev v0",
          prints("ip neigh", "10.1.0.254 dev v0 lladdr 02:00:00:00:00:30 PERMANENT"),
          "neighbor/v0/10.1.0.254 update mac"),
    Drift("neighbor-not-permanent", ROUTES, "ip neigh change 10.1.0.254 lladdr 02:00:00:00:00:30 dev v0 nud stale",
          prints("ip neigh", "10.1.0.254 dev v0 lladdr 02:00:00:00:00:30 PERMANENT"),
          "neighbor/v0/10.1.0.254 create"),
    Drift("neighbor-deleted-ipv6", ROUTES, "ip -6 neigh del fd01::254 dev v0",
          prints("ip -6 neigh", "fd01::254 dev v0 lladdr 02:00:00:00:00:30 PERMANENT"),
          "neighbor/v0/fd01::254 create"),
    Drift("neighbor-mac-ipv6", ROUTES, "ip -6 neigh replace fd01::254 lladdr 02:00:00:00:00:99 dev v0", None,
          "neighbor/v0/fd01::254 update mac"),
    Drift("neighbors-flushed", ROUTES, """
          ip neigh flush nud permanent dev v0; ip -6 neigh flush nud permanent dev v0""", None,
          "neighbor/v0/10.1.0.254 create"),
    Drift("neighbor-flushed-by-link-down", ROUTES, "ip link set v0 down",
          prints("ip -6 neigh", "fd01::254 dev v0 lladdr 02:00:00:00:00:30 PERMANENT"),
          "veth/v0 update up"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_comes_back(stage: Stage, case: Drift) -> None:
    comes_back(stage, case)
