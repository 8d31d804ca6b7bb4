"""Routes and rules read as iproute2 and pyroute2 see them, and can be put back from their messages."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netd.kernel.kernel import Kernel
from netd.kernel.rtnl import wire
from netd.model.operations import RestoreRoute, RestoreRule
from tests.support.kernel_sandbox import done, lonely_kernel, sh, shown
from tests.support.process import until


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


def foreign(message: type, body: bytes) -> Any:
    """A message as pyroute2 decodes it."""
    head = (16 + len(body)).to_bytes(4, "little") + bytes(12)
    decoded = message(head + body)
    decoded.decode()
    return decoded


ROUTES = """
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
ip address add 10.0.0.1/24 dev v0; ip address add fd00::1/64 dev v0 nodad
ip route add 10.1.0.0/16 via 10.0.0.9 metric 5 proto 99 src 10.0.0.1 mtu 1300
ip route add 10.2.0.0/16 nexthop via 10.0.0.8 dev v0 weight 3 nexthop via 10.7.0.7 dev v1 onlink
ip -4 route add default via inet6 fd00::9 dev v0
ip route add blackhole 10.3.0.0/16; ip route add throw 10.4.0.0/16
ip route add 10.5.0.0/16 via 10.77.0.1 dev v1 onlink
ip -6 route add fd01::/64 via fd00::9 metric 7 mtu 1280
ip -6 route add fd02::/64 nexthop via fd00::8 dev v0 nexthop via fd00::9 dev v0 weight 2
ip -6 route add unreachable fd03::/64; ip -6 route add default dev v1
"""


def test_routes_read_as_iproute2_shows_them(kernel: Kernel) -> None:
    sh(ROUTES)
    with kernel.open("") as session:
        found = {(route.to, route.metric, route.nexthops[:1]): route for route in session.routes(254)}
        names = {link.index: link.name for link in session.links()}
    by_target = {route.to: route for route in found.values()}
    for family, zero in ((4, "0.0.0.0/0"), (6, "::/0")):
        for seen in shown(f"ip -{family} -N -d -j route show table 254"):
            to = zero if seen["dst"] == "default" else seen["dst"] + ("" if "/" in seen["dst"] else "/32")
            route = by_target[to]
            assert route.metric == seen.get("metric", 0)
            assert str(route.protocol) == seen["protocol"]
            assert route.src == seen.get("prefsrc", "")
            assert route.type == {"1": "unicast", "6": "blackhole", "7": "unreachable", "9": "throw"}[seen["type"]]
            hops = seen.get("nexthops", [seen])
            if route.nexthops:
                assert [names[hop.index] for hop in route.nexthops if to != "fe80::/64"] == [
                    hop["dev"] for hop in hops if to != "fe80::/64"
                ]
                vias = [hop.get("gateway", hop.get("via", {}).get("host", "")) for hop in hops]
                assert [hop.via for hop in route.nexthops] == vias
    assert by_target["10.1.0.0/16"].mtu == 1300
    assert [hop.weight for hop in by_target["10.2.0.0/16"].nexthops] == [3, 1]
    assert [hop.onlink for hop in by_target["10.2.0.0/16"].nexthops] == [False, True]
    assert by_target["10.5.0.0/16"].nexthops[0].onlink
    assert by_target["fd03::/64"].nexthops == ()


def test_routes_read_as_pyroute2_decodes_them(kernel: Kernel) -> None:
    sh(ROUTES)
    with kernel.open("") as session:
        found = session.routes(254)
        head = bytes([socket.AF_INET, *bytes(11)])
        theirs = [foreign(rtmsg, body) for body in session.rtnl.dump(wire.RTM_GETROUTE, head)]
    ours = {(route.to, route.metric): route for route in found}
    for one in theirs:
        if one.get_attr("RTA_TABLE") != 254:
            continue
        route = ours[f"{one.get_attr('RTA_DST') or '0.0.0.0'}/{one['dst_len']}", one.get_attr("RTA_PRIORITY") or 0]
        assert (route.protocol, route.scope, route.src) == (
            one["proto"], one["scope"], one.get_attr("RTA_PREFSRC") or "",
        )  # fmt: skip
        several = one.get_attr("RTA_MULTIPATH")
        if several:
            assert [(hop["oif"], hop["hops"] + 1) for hop in several] == [
                (hop.index, hop.weight) for hop in route.nexthops
            ]


def test_a_route_can_be_put_back_from_its_message(kernel: Kernel) -> None:
    sh(ROUTES)
    with kernel.open("") as session:
        before = [route for route in session.routes(254) if route.protocol != wire.RTPROT_KERNEL]
        for route in before:
            family = "-6" if route.family == socket.AF_INET6 else "-4"
            kind = "" if route.type == "unicast" else route.type
            sh(f"ip {family} route del {kind} {route.to} metric {route.metric}")
        assert [route for route in session.routes(254) if route.protocol != wire.RTPROT_KERNEL] == []
        done(kernel, "", *(RestoreRoute("", route.raw) for route in before))
        after = [route for route in session.routes(254) if route.protocol != wire.RTPROT_KERNEL]
    assert {route.to: route for route in after} == {route.to: route for route in before}


def test_a_route_by_a_nexthop_object_is_expanded_and_can_be_put_back(kernel: Kernel) -> None:
    sh(
        """
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip address add 10.0.0.1/24 dev v0
        ip nexthop add id 5 via 10.0.0.9 dev v0; ip route add 10.9.0.0/16 nhid 5
        """
    )
    with kernel.open("") as session:
        (route,) = [route for route in session.routes(254) if route.to == "10.9.0.0/16"]
        assert [hop.via for hop in route.nexthops] == ["10.0.0.9"]
        sh("ip route del 10.9.0.0/16")
        done(kernel, "", RestoreRoute("", route.raw))
        assert route in session.routes(254)


def test_a_hop_without_a_carrier_does_not_prevent_putting_a_route_back(kernel: Kernel) -> None:
    sh(
        """
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip address add 10.0.0.1/24 dev v0
        ip link add v2 type veth peer name v3; ip link set v2 up; ip link set v3 up; ip address add 10.2.0.1/24 dev v2
        ip route add 10.9.0.0/16 nexthop via 10.0.0.9 dev v0 nexthop via 10.2.0.9 dev v2; ip link set v3 down
        """
    )
    # The kernel hears of a carrier once a second at most (net/core/link_watch.c).
    until(lambda: "linkdown" in sh("ip route show 10.9.0.0/16"), "the hop is dead")
    with kernel.open("") as session:
        (route,) = [one for one in session.routes(254) if one.to == "10.9.0.0/16"]
        sh("ip route del 10.9.0.0/16")
        done(kernel, "", RestoreRoute("", route.raw))
        assert route in session.routes(254)


def test_rules_read_as_iproute2_shows_them(kernel: Kernel) -> None:
    sh(
        """
        ip rule add priority 100 from 10.0.0.0/8 to 10.1.0.0/16 iif lo table 77 protocol 99
        ip rule add priority 101 fwmark 0x10/0xff oif lo table 1000
        ip -6 rule add priority 100 from fd00::/64 table 78; ip rule add priority 102 not from 10.2.0.0/16 table 5
        ip rule add priority 103 ipproto tcp table 6; ip rule add priority 104 blackhole
        ip rule add priority 105 table 7 suppress_prefixlength 0; ip rule add priority 106 goto 32766
        """
    )
    with kernel.open("") as session:
        found = {(rule.family, rule.priority): rule for rule in session.rules()}
    one = found[socket.AF_INET, 100]
    assert (one.source, one.to, one.iif, one.table, one.protocol) == ("10.0.0.0/8", "10.1.0.0/16", "lo", 77, 99)
    assert not one.other
    two = found[socket.AF_INET, 101]
    assert (two.fwmark, two.fwmask, two.oif, two.table, two.other) == (0x10, 0xFF, "lo", 1000, False)
    assert found[socket.AF_INET6, 100].source == "fd00::/64"
    assert found[socket.AF_INET, 102].inverted
    assert found[socket.AF_INET, 103].ipproto == socket.IPPROTO_TCP
    assert found[socket.AF_INET, 105].suppress_prefixlength == 0
    assert [priority for (_, priority), rule in found.items() if rule.other] == [106]
    assert found[socket.AF_INET, 104].action == 6
    for family in (4, 6):
        seen = {rule["priority"] for rule in shown(f"ip -{family} -j rule")}
        assert seen == {priority for kind, priority in found if (kind == socket.AF_INET) == (family == 4)}


def test_a_rule_can_be_put_back_from_its_message(kernel: Kernel) -> None:
    sh("ip rule add priority 102 not from 10.2.0.0/16 iif nowhere table 5")
    sh("ip rule add priority 103 ipproto tcp table 6")
    before = sh("ip rule")
    with kernel.open("") as session:
        for rule in session.rules():
            if rule.priority in (102, 103):
                sh(f"ip rule del priority {rule.priority}")
                done(kernel, "", RestoreRule("", rule.raw))
    assert sh("ip rule") == before
