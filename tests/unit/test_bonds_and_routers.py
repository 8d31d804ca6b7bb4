"""Bonds, VLANs over them, and virtual routers, on the fake kernel: sizes, tables, members."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from netd.errors import kernel_error
from netd.kinds import registry
from netd.kinds.link.link_kind import LinkKind
from netd.model.key import Key
from netd.model.operations import CreateLink, LinkSettings, SetLink
from tests.support.labs import declared
from tests.support.world import World, world

BOND = """
[bond.bond0]
mtu = "auto"
primary = "p1"
[veth.p1]
master = "bond0"
peer = { name = "q1", mtu = "auto", master = "br0" }
[veth.p2]
master = "bond0"
peer = { name = "q2", mtu = "auto", master = "br0" }
[bridge.br0]
mtu = "auto"
[vlan.v5]
dev = "bond0"
id = 5
mtu = "auto"
[interface.eth0]
master = "br0"
"""
ROUTER = """
[vrf.red]
table = 100
[bridge.lan]
master = "red"
addresses = ["10.1.0.1/24", "fd01::1/64"]
gateway = "10.1.0.9"
[[route]]
to = "10.9.0.0/16"
via = "10.1.0.9"
dev = "lan"
[[route]]
to = "10.8.0.0/16"
via = "10.1.0.9"
dev = "lan"
table = "main"
"""


@pytest.fixture
def machine() -> Iterator[World]:
    with world() as each:
        yield each


def begun(each: World, text: str) -> None:
    each.take(text)
    each.settle()
    assert not each.states() and not each.differing()


def mtu_of(each: World, name: str) -> int:
    link = each.machine.space("").named(name)
    assert link is not None
    return link.mtu


def test_a_vlan_over_a_bond_over_pairs_is_as_large_as_what_is_behind_them(machine: World) -> None:
    begun(machine, BOND)
    followers = ("bond0", "p1", "p2", "q1", "br0", "v5")
    assert {mtu_of(machine, each) for each in followers} == {1500}
    for mtu in (1400, 1300, 1500):
        assert machine.someone_does(SetLink("", "eth0", LinkSettings(mtu=mtu))) == 0
        machine.settle()
        assert {mtu_of(machine, each) for each in followers} == {mtu}
        assert not machine.states()


def test_a_member_has_the_bonds_mac_address_and_its_own_again_when_it_leaves(machine: World) -> None:
    begun(machine, BOND)
    space = machine.machine.space("")
    bond, member = space.named("bond0"), space.named("p1")
    assert bond is not None and member is not None and bond.mac == member.mac
    begun(machine, BOND.replace('master = "bond0"', "", 1).replace('primary = "p1"', ""))
    alone = space.named("p1")
    assert alone is not None and alone.mac != bond.mac and alone.up


def test_a_link_that_is_up_is_set_down_to_enter_a_bond(machine: World) -> None:
    begun(machine, BOND.replace('master = "bond0"', "").replace('primary = "p1"', ""))
    begun(machine, BOND)
    space = machine.machine.space("")
    bond = space.named("bond0")
    assert bond is not None
    assert all((link := space.named(name)) and link.up and link.master == bond.index for name in ("p1", "p2"))


def test_routes_are_in_the_table_of_the_router_of_their_link_unless_they_name_one() -> None:
    found = {key for key in declared(ROUTER) if key.kind == "route"}
    names = ("100/0.0.0.0/0/0", "100/10.9.0.0/16/0", "main/10.8.0.0/16/0")
    assert found == {Key("", "route", name) for name in names}


def test_what_the_kernel_removes_with_a_change_of_the_router_comes_back(machine: World) -> None:
    begun(machine, ROUTER.partition("[[route]]")[0])
    space = machine.machine.space("")
    before = {(route.table, route.to) for route in space.routes}
    assert (100, "10.1.0.0/24") in before and (100, "0.0.0.0/0") in before
    assert machine.someone_does(SetLink("", "lan", LinkSettings(master=""))) == 0
    machine.settle()
    assert {(route.table, route.to) for route in space.routes} == before and not machine.differing()


def test_a_bridge_in_a_router_is_no_part_of_the_segment_of_another(machine: World) -> None:
    text = "".join(f'[bridge.b{n}]\nmaster = "red"\nmtu = {mtu}\n' for n, mtu in ((1, '"auto"'), (2, 1400)))
    begun(machine, f"[vrf.red]\ntable = 7\n{text}")
    assert (mtu_of(machine, "b1"), mtu_of(machine, "red")) == (1500, 65575)


@pytest.mark.parametrize(("name", "module"), [("vlan", "8021q"), ("bond", "bonding"), ("dummy", "dummy")])
def test_a_kernel_without_a_kind_is_told_by_its_module(name: str, module: str) -> None:
    kind = registry()[name]
    assert isinstance(kind, LinkKind)
    text = kind.refusal(kernel_error(errno.EOPNOTSUPP, "Unknown device type"), ())
    assert text == f"this kernel has no {name} links: they need its module {module} (modprobe {module})"
    assert kind.refusal(kernel_error(errno.EINVAL, "no"), ()) == "the kernel refused: Invalid argument: no"


def test_someone_elses_bond_of_another_mode_is_a_conflict(machine: World) -> None:
    theirs = CreateLink("", "bond0", "bond", LinkSettings(info={1: b"\x00"}))
    assert machine.someone_does(theirs) == 0
    machine.take("[bond.bond0]\n")
    machine.settle()
    assert list(machine.states()) == ["bond/bond0"]
