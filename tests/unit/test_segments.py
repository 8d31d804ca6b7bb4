"""``mtu = "auto"``: the smallest of the segment, on the fake kernel, where each write can be counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netd.model import operations as do
from netd.model.operations import CreateLink, LinkSettings, Operation, SetLink
from tests.support.world import World, world

#: eth0 is another's, and has 1500. What hangs on br0 spans three namespaces and two bridges.
LAB = """
[bridge.br0]
mtu = "auto"

[vxlan.vx0]
vni = 24
dev = "eth0"
remote = "10.230.4.2"
mtu = "auto"
master = "br0"

[namespace.a.veth.eth0]
mtu = "auto"
peer = { name = "port-a", master = "br0", mtu = "auto" }

[namespace.b.bridge.inner]
mtu = "auto"

[namespace.b.veth.up0]
mtu = "auto"
master = "inner"
peer = { name = "port-b", master = "br0", mtu = "auto" }

[namespace.c.veth.eth0]
mtu = "auto"
peer = { name = "port-c", namespace = "b", master = "inner", mtu = "auto" }
"""
FOLLOWERS = (
    ("", "br0"), ("", "vx0"), ("", "port-a"), ("a", "eth0"), ("b", "inner"), ("b", "up0"), ("", "port-b"),
    ("c", "eth0"), ("b", "port-c"),
)  # fmt: skip


@pytest.fixture
def machine() -> Iterator[World]:
    with world() as each:
        yield each


def sizes(each: World) -> set[int]:
    return {found.mtu for found in (each.machine.space(netns).named(name) for netns, name in FOLLOWERS) if found}


def set_mtu(each: World, name: str, mtu: int, netns: str = "") -> None:
    assert each.someone_does(SetLink(netns, name, LinkSettings(mtu=mtu))) == 0


def written(each: World) -> list[Operation]:
    """What is sent from now on."""
    sent: list[Operation] = []
    each.hand.before = sent.append
    return sent


def begun(each: World, text: str = LAB) -> None:
    each.take(text)
    each.settle()
    assert not each.states() and not each.differing()


def test_every_link_of_a_segment_is_made_with_what_the_tunnel_leaves(machine: World) -> None:
    sent = written(machine)
    begun(machine)
    assert sizes(machine) == {1450}
    assert {one.name for one in sent if isinstance(one, SetLink) and one.settings.mtu} <= {"br0", "inner"}, "made right"


def test_all_follow_what_carries_the_tunnel_in_one_round(machine: World) -> None:
    begun(machine)
    for underlay, size in ((1400, 1350), (9000, 8950), (1500, 1450)):
        set_mtu(machine, "eth0", underlay)
        rounds = machine.engine.passes
        assert machine.hear()
        assert machine.engine.passes == rounds + 1
        assert sizes(machine) == {size}
        machine.settle()
        assert not machine.states() and not machine.differing()


def test_to_follow_is_no_repair_however_often(machine: World) -> None:
    begun(machine)
    for number in range(30):
        set_mtu(machine, "eth0", 1400 + number)
        machine.hear()
        assert sizes(machine) == {1350 + number}
    machine.settle()
    assert not machine.states()
    assert {row.repairs for row in machine.engine.statuses()} == {0}
    set_mtu(machine, "port-c", 1200, "b")
    machine.settle()
    assert {str(row.key) for row in machine.engine.statuses() if row.repairs} == {"c:veth/eth0"}


def test_nothing_is_written_when_what_changes_is_not_the_smallest(machine: World) -> None:
    begun(machine)
    assert machine.someone_does(CreateLink("", "tap0", "veth", LinkSettings(), "", "tap1", "", LinkSettings())) == 0
    assert machine.someone_does(SetLink("", "tap0", LinkSettings(master="br0"))) == 0
    machine.settle()
    sent = written(machine)
    set_mtu(machine, "tap0", 1480)
    machine.settle()
    assert not sent and sizes(machine) == {1450}


def test_anothers_port_is_followed_when_it_is_plugged_in_and_forgotten_when_it_leaves(machine: World) -> None:
    begun(machine)
    assert machine.someone_does(CreateLink("", "tap0", "veth", LinkSettings(), "", "tap1", "", LinkSettings())) == 0
    set_mtu(machine, "tap1", 1300)
    machine.settle()
    assert sizes(machine) == {1450}
    assert machine.someone_does(SetLink("", "tap0", LinkSettings(master="br0"))) == 0
    machine.settle()
    assert sizes(machine) == {1300}, "what is at the other end of its cable counts"
    set_mtu(machine, "tap0", 1200)
    machine.settle()
    assert sizes(machine) == {1200}
    assert machine.someone_does(do.DeleteLink("", machine.index("", "tap0"))) == 0
    machine.settle()
    assert sizes(machine) == {1450}


def test_a_written_mtu_anywhere_in_the_segment_counts_and_stays(machine: World) -> None:
    text = LAB.replace('master = "inner", mtu = "auto"', 'master = "inner", mtu = 1280')
    begun(machine, text)
    assert sizes(machine) == {1280}
    set_mtu(machine, "port-c", 1500, "b")
    machine.settle()
    assert sizes(machine) == {1280}, "repaired, and nobody went along with it"
    machine.take(text.replace("1280", "1320"))
    assert sizes(machine) == {1320}
    machine.take(LAB)
    assert sizes(machine) == {1450}


def test_drift_of_a_follower_is_repaired_alone(machine: World) -> None:
    begun(machine)
    sent = written(machine)
    set_mtu(machine, "port-c", 1200, "b")
    machine.settle()
    assert sizes(machine) == {1450}
    assert sent == [SetLink("b", "port-c", LinkSettings(mtu=1450))]


def test_a_link_that_is_moved_to_another_bridge_by_hand_takes_nobody_along(machine: World) -> None:
    begun(machine, LAB + "\n[bridge.other]\nmtu = 1290\n")
    sent = written(machine)
    assert machine.someone_does(SetLink("", "port-a", LinkSettings(master="other"))) == 0
    machine.settle()
    assert sizes(machine) == {1450}
    assert [one for one in sent if isinstance(one, SetLink) and one.settings.mtu and one.name != "other"] == []


def test_without_the_key_each_link_gets_back_what_it_had(machine: World) -> None:
    text = LAB + '\n[interface.eth0]\nmtu = "auto"\n[interface.cable]\nmtu = 1400\n'
    begun(machine, text)
    assert machine.machine.space("").named("eth0").mtu == 1400  # type: ignore[union-attr]
    assert sizes(machine) == {1350}
    machine.take(text.replace('\n[interface.eth0]\nmtu = "auto"\n', ""))
    machine.settle()
    assert machine.machine.space("").named("eth0").mtu == 1500  # type: ignore[union-attr]
    assert sizes(machine) == {1450}


def test_a_tunnel_over_its_own_segment_does_not_shrink_for_ever(machine: World) -> None:
    machine.take(
        """
[bridge.br0]
mtu = "auto"
[veth.under]
mtu = "auto"
peer = { name = "port", master = "br0", mtu = "auto" }
[vxlan.vx0]
vni = 9
dev = "under"
mtu = "auto"
master = "br0"
"""
    )
    machine.settle()
    assert machine.machine.space("").named("br0").mtu == 1500  # type: ignore[union-attr]
    assert list(machine.states()) == ["vxlan/vx0"], "it cannot have what the others have"


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ('local = "10.230.4.1"', 1350),
        ('local = "10.230.4.1"\ndev = "eth0"', 1350),
        ('local = "10.99.0.1"', 1450),
        ('remote = "10.9.9.9"', 1450),
        ('remote = "fd00::9"', 1430),
        ('dev = "eth0"\nlocal = "fd00::1"', 1330),
        ('dev = "eth0"\nfdb = [{ mac = "00:00:00:00:00:00", dst = "fd00::9" }]', 1330),
    ],
)
def test_a_tunnel_leaves_what_its_way_out_leaves(machine: World, keys: str, size: int) -> None:
    set_mtu(machine, "eth0", 1400)
    begun(machine, f'[vxlan.vx0]\nvni = 9\nmtu = "auto"\n{keys}\n')
    assert machine.machine.space("").named("vx0").mtu == size  # type: ignore[union-attr]


def test_a_bridge_that_carries_a_tunnel_is_followed_as_it_follows_its_ports(machine: World) -> None:
    begun(
        machine,
        """
[bridge.lan]
[interface.eth0]
master = "lan"
[vxlan.vx0]
vni = 9
dev = "lan"
mtu = "auto"
""",
    )
    for mtu in (1400, 1300, 1500):
        set_mtu(machine, "eth0", mtu)
        machine.settle()
        assert machine.machine.space("").named("vx0").mtu == mtu - 50  # type: ignore[union-attr]
    assert machine.someone_does(do.DeleteLink("", machine.index("", "lan"))) == 0
    machine.settle()
    assert machine.machine.space("").named("vx0").mtu == 1450  # type: ignore[union-attr]


def test_a_tunnel_follows_a_tunnel_that_follows(machine: World) -> None:
    begun(
        machine,
        """
[vxlan.vx0]
vni = 9
dev = "eth0"
mtu = "auto"
[vxlan.vx1]
vni = 10
dev = "vx0"
mtu = "auto"
[veth.a]
mtu = "auto"
peer = { name = "b" }
""",
    )
    for mtu in (1400, 1500, 9000):
        set_mtu(machine, "eth0", mtu)
        assert machine.hear()
        assert machine.machine.space("").named("vx1").mtu == mtu - 100, "in one round"  # type: ignore[union-attr]
        machine.settle()
        assert not machine.states()


def test_the_address_of_a_tunnel_is_followed_to_another_link(machine: World) -> None:
    begun(machine, '[vxlan.vx0]\nvni = 9\nmtu = "auto"\nlocal = "10.230.4.1"\n')
    set_mtu(machine, "cable", 1300)
    assert machine.someone_does(do.DeleteAddress("", "eth0", "10.230.4.1/24")) == 0
    assert machine.someone_does(do.PutAddress("", "cable", "10.230.4.1/24")) == 0
    machine.settle()
    assert machine.machine.space("").named("vx0").mtu == 1250  # type: ignore[union-attr]
