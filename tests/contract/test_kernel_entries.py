"""Addresses, routes, rules, neighbours and fdb entries are written and taken away, and iproute2 shows it."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from netd.errors import Changed, KernelError
from netd.kernel.kernel import Kernel
from netd.model import operations as do
from netd.model.marks import ADDRESS_PROTOCOL, PROTOCOL
from netd.model.operations import Hop, LinkSettings
from netd.model.state import PolicyRule
from tests.support.kernel_sandbox import done, execute, lonely_kernel, sh, shown

MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


@pytest.fixture
def cable(kernel: Kernel) -> Kernel:
    """v0 (10.0.0.1/24, fd00::1/64) and v1, both up."""
    sh(
        """
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
        ip address add 10.0.0.1/24 dev v0; ip address add fd00::1/64 dev v0 nodad
        """
    )
    return kernel


def link(name: str, where: str = "") -> dict[str, object]:
    """A link as iproute2 shows it."""
    found: dict[str, object] = shown(f"ip {where} -d -j link show dev {name}")[0]
    return found


def test_addresses_are_put_with_the_protocol_and_deleted(cable: Kernel) -> None:
    done(
        cable, "", do.PutAddress("", "v1", "10.4.0.1/24"), do.PutAddress("", "v1", "fd04::1/64", nodad=True),
        do.PutAddress("", "v1", "127.0.0.9/8"),
    )  # fmt: skip
    with cable.open("") as session:
        found = {one.address: one for one in session.addresses(int(str(link("v1")["ifindex"])))}
    assert {found[one].protocol for one in ("10.4.0.1/24", "fd04::1/64")} == {ADDRESS_PROTOCOL}
    assert found["fd04::1/64"].flags & 0x42 == 0x02
    assert found["127.0.0.9/8"].scope == 254
    done(cable, "", do.DeleteAddress("", "v1", "10.4.0.1/24"), do.DeleteAddress("", "v1", "fd04::1/64"))
    assert "10.4.0.1" not in sh("ip address show v1") and "fd04::1" not in sh("ip address show v1")
    (again,) = execute(cable, "", do.DeleteAddress("", "v1", "10.4.0.1/24"))
    assert isinstance(again, KernelError) and again.code == errno.EADDRNOTAVAIL


def test_an_address_that_is_there_stays_with_its_routes(cable: Kernel) -> None:
    sh("ip route add default via 10.0.0.9")
    done(cable, "", do.PutAddress("", "v0", "10.0.0.1/24"))
    assert "default via 10.0.0.9" in sh("ip route")


ROUTES = [
    (do.CreateRoute("", 2, 254, "0.0.0.0/0", 0, hops=(Hop("10.0.0.9", "v0"),)), "default via 10.0.0.9 dev v0"),
    (do.CreateRoute("", 2, 254, "0.0.0.0/0", 0, hops=(Hop("10.0.0.9"),)), "default via 10.0.0.9 dev v0"),
    (do.CreateRoute("", 2, 300, "10.9.0.0/16", 7, hops=(Hop(dev="v0"),)),
     "10.9.0.0/16 dev v0 table 300 scope link metric 7"),
    (do.CreateRoute("", 2, 254, "10.9.0.0/16", 0, "blackhole"), "blackhole 10.9.0.0/16"),
    (do.CreateRoute("", 2, 254, "10.9.0.0/16", 0, "prohibit"), "prohibit 10.9.0.0/16"),
    (do.CreateRoute("", 2, 254, "10.9.0.0/16", 0, src="10.0.0.1", mtu=1300, hops=(Hop("10.0.0.9", "v0"),)),
     "10.9.0.0/16 via 10.0.0.9 dev v0 src 10.0.0.1 mtu 1300"),
    (do.CreateRoute("", 2, 254, "10.9.0.0/16", 0, hops=(Hop("10.7.0.1", "v0", onlink=True),)),
     "10.9.0.0/16 via 10.7.0.1 dev v0 onlink"),
    (do.CreateRoute("", 2, 254, "10.9.0.0/16", 0, hops=(Hop("fd00::9", "v0"),)),
     "10.9.0.0/16 via inet6 fd00::9 dev v0"),
    (do.CreateRoute("", 2, 254, "10.9.0.0/16", 0, hops=(Hop("10.0.0.8", "v0", 2), Hop("10.0.0.9", "v0"))),
     "10.9.0.0/16 nexthop via 10.0.0.8 dev v0 weight 2 nexthop via 10.0.0.9 dev v0 weight 1"),
    (do.CreateRoute("", 10, 254, "::/0", 1024, hops=(Hop("fd00::9", "v0"),)), "default via fd00::9 dev v0 metric 1024"),
    (do.CreateRoute("", 10, 300, "fd09::/64", 5, "unreachable"), "unreachable fd09::/64 dev lo table 300 metric 5"),
    (do.CreateRoute("", 10, 254, "fd09::/64", 5, hops=(Hop("fd00::8", "v0"), Hop("fd00::9", "v0", 4))),
     "fd09::/64 metric 5 nexthop via fd00::8 dev v0 weight 1 nexthop via fd00::9 dev v0 weight 4"),
]  # fmt: skip


def words(text: str, dropped: tuple[str, ...] = ("proto 110", "proto netd", "pref medium", "[detached]")) -> str:
    """iproute2's line without what all of them have."""
    for one in dropped:
        text = text.replace(one, "")
    return " ".join(text.split())


@pytest.mark.parametrize(("operation", "line"), ROUTES, ids=[line for _, line in ROUTES])
def test_a_route_is_made_and_deleted(cable: Kernel, operation: do.CreateRoute, line: str) -> None:
    show = f"ip -{6 if operation.family == socket.AF_INET6 else 4} route show table all proto {PROTOCOL}"
    done(cable, "", operation)
    assert words(sh(show), ("pref medium",)) == line
    again = execute(cable, "", operation)
    assert isinstance(again[0], Changed)
    with cable.open("") as session:
        (route,) = [one for one in session.routes(operation.table) if one.protocol == PROTOCOL]
    assert (route.to, route.metric, route.type, route.mtu, route.src) == (
        operation.to, operation.metric, operation.type, operation.mtu, operation.src,
    )  # fmt: skip
    assert [hop.via for hop in route.nexthops] == [hop.via for hop in operation.hops]
    done(cable, "", do.DeleteRoute("", route))
    assert sh(show) == ""


def test_a_route_is_deleted_by_its_value_alone(cable: Kernel) -> None:
    for operation, _ in ROUTES:
        done(cable, "", operation)
        with cable.open("") as session:
            (route,) = [one for one in session.routes(operation.table) if one.protocol == PROTOCOL]
        done(cable, "", do.DeleteRoute("", replace(route, raw=b"")))
        with cable.open("") as session:
            assert not [one for one in session.routes(operation.table) if one.protocol == PROTOCOL]


def test_deleting_a_route_spares_a_foreign_one_beside_it(cable: Kernel) -> None:
    sh("ip -6 route add fd09::/64 via fd00::7 metric 5 proto 99")
    done(cable, "", do.CreateRoute("", 10, 254, "fd09::/64", 6, hops=(Hop("fd00::9", "v0"),)))
    with cable.open("") as session:
        (own,) = [one for one in session.routes(254) if one.protocol == PROTOCOL]
    done(cable, "", do.DeleteRoute("", own))
    assert "via fd00::7" in sh("ip -6 route")


RULES = [
    (PolicyRule(2, 100, 77, source="10.0.0.0/8"), "100: from 10.0.0.0/8 lookup 77"),
    (PolicyRule(2, 101, 1000, to="10.1.0.0/16", iif="v0", oif="v1"),
     "101: from all to 10.1.0.0/16 iif v0 oif v1 lookup 1000"),
    (PolicyRule(2, 102, 5, fwmark=16, fwmask=255), "102: from all fwmark 0x10/0xff lookup 5"),
    (PolicyRule(2, 103, 5, fwmark=16), "103: from all fwmark 0x10 lookup 5"),
    (PolicyRule(2, 104, 5, source="0.0.0.0/0"), "104: from all lookup 5"),
    (PolicyRule(10, 100, 78, source="fd00::/64", to="fd01::1/128"), "100: from fd00::/64 to fd01::1 lookup 78"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "line"), RULES, ids=[line for _, line in RULES])
@pytest.mark.parametrize("raw", [True, False])
def test_a_rule_is_made_and_deleted(kernel: Kernel, rule: PolicyRule, line: str, raw: bool) -> None:
    show = f"ip -{6 if rule.family == socket.AF_INET6 else 4} rule show priority {rule.priority}"
    done(kernel, "", do.CreateRule("", rule))
    assert words(sh(show)) == line
    assert isinstance(execute(kernel, "", do.CreateRule("", rule))[0], Changed)
    with kernel.open("") as session:
        (found,) = [one for one in session.rules() if (one.family, one.priority) == (rule.family, rule.priority)]
    assert found.protocol == PROTOCOL and not found.other
    done(kernel, "", do.DeleteRule("", found if raw else replace(found, raw=b"")))
    assert sh(show) == ""


def test_neighbours_are_put_and_deleted(cable: Kernel) -> None:
    for address in ("10.0.0.9", "fd00::9"):
        done(cable, "", do.PutNeighbor("", "v0", address, MAC, PROTOCOL))
        done(cable, "", do.PutNeighbor("", "v0", address, OTHER_MAC, PROTOCOL))
        (seen,) = shown(f"ip -j neigh show to {address} dev v0")
        assert (seen["lladdr"], seen["state"]) == (OTHER_MAC, ["PERMANENT"])
        assert PROTOCOL == 110 and "110" in sh(f"ip -N neigh show to {address} dev v0")
        done(cable, "", do.DeleteNeighbor("", "v0", address))
        assert shown(f"ip -j neigh show nud permanent to {address} dev v0") == []


def test_fdb_entries_are_put_and_deleted_remote_by_remote(cable: Kernel) -> None:
    info = {1: struct.pack("=I", 24), 15: struct.pack("!H", 4789)}
    flood = "00:00:00:00:00:00"
    done(
        cable, "", do.CreateLink("", "vx", "vxlan", LinkSettings(info=info, mac=MAC, up=True)),
        do.PutFdb("", "vx", flood, "10.0.0.7"), do.PutFdb("", "vx", flood, "10.0.0.8"),
        do.PutFdb("", "vx", OTHER_MAC, "10.0.0.7"), do.PutFdb("", "vx", OTHER_MAC, "10.0.0.8", port=99, vni=5),
    )  # fmt: skip
    seen = {(one["mac"], one["dst"], one.get("port"), one.get("vni")) for one in shown("bridge -j fdb show dev vx")}
    assert seen == {(flood, "10.0.0.7", None, None), (flood, "10.0.0.8", None, None), (OTHER_MAC, "10.0.0.8", 99, 5)}
    done(
        cable, "", do.DeleteFdb("", "vx", flood, "10.0.0.7"),
        do.DeleteFdb("", "vx", OTHER_MAC, "10.0.0.8", port=99, vni=5),
    )  # fmt: skip
    assert [(one["mac"], one["dst"]) for one in shown("bridge -j fdb show dev vx")] == [(flood, "10.0.0.8")]
