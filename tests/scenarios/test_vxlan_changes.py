"""A tunnel whose file changes: in place where the kernel can, and never two entries where one is meant."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.host import Host

UNDERLAY = """
[veth.under]
addresses = ["10.9.0.1/24", "fd09::1/64"]
nodad = true
peer = { name = "under-peer" }

[bridge.br0]

[vxlan.vx]
vni = 5
dev = "under"
master = "br0"
"""

ONE, MANY = 'remote = "10.9.0.3"', 'remote = ["10.9.0.3", "10.9.0.4"]'
SIX = 'local = "fd09::1"\nremote = "fd09::2"'
MANY_SIX = 'remote = ["fd09::3", "fd09::4"]'


def flooding(host: Host) -> list[str]:
    """Where vx sends what all should get: an address that stands twice gets all of it twice."""
    entries: list[dict[str, Any]] = host.json("bridge", "-j", "fdb", "show", "dev", "vx")
    return sorted(each["dst"] for each in entries if each["mac"] == "00:00:00:00:00:00")


@pytest.mark.parametrize(
    ("before", "after", "remotes"),
    [
        (ONE, 'remote = "10.9.0.4"', ["10.9.0.4"]),
        (ONE, MANY, ["10.9.0.3", "10.9.0.4"]),
        (MANY, ONE, ["10.9.0.3"]),
        (ONE, "", []),
        ('local = "10.9.0.1"\n' + ONE, ONE, ["10.9.0.3"]),
    ],
)
def test_remotes_change_in_place(host: Host, before: str, after: str, remotes: list[str]) -> None:
    host.write("a.toml", UNDERLAY + before)
    host.daemon()
    index = host.link("vx")["ifindex"]
    host.write("a.toml", UNDERLAY + after)
    host.netd("reload")
    assert flooding(host) == remotes
    assert host.link("vx")["ifindex"] == index
    assert host.link("vx")["linkinfo"]["info_data"].get("local") is None
    assert host.netd("diff", check=None).returncode == 0


@pytest.mark.parametrize(
    ("before", "after", "remotes"),
    [
        (ONE, SIX, ["fd09::2"]),
        (SIX, ONE, ["10.9.0.3"]),
        ('group = "239.1.1.1"', ONE, ["10.9.0.3"]),
        (MANY, MANY_SIX, ["fd09::3", "fd09::4"]),
        (MANY_SIX, MANY, ["10.9.0.3", "10.9.0.4"]),
        (MANY_SIX, ONE, ["10.9.0.3"]),
        ("", MANY_SIX, ["fd09::3", "fd09::4"]),
    ],
)
def test_a_tunnel_of_another_family_or_sort_is_made_again(
    host: Host, before: str, after: str, remotes: list[str]
) -> None:
    host.write("a.toml", UNDERLAY + before)
    host.daemon()
    mac = host.link("vx")["address"]
    host.write("a.toml", UNDERLAY + after)
    host.netd("reload")
    assert flooding(host) == remotes
    assert host.link("vx")["address"] == mac
    assert host.link("vx")["master"] == "br0"
    assert "239.1.1.1" not in host.run("ip", "maddr", "show", "dev", "under")
    assert host.netd("diff", check=None).returncode == 0


SOURCE = {4: 'local = "10.9.0.1"', 6: 'local = "fd09::1"'}


@pytest.mark.parametrize(("family", "room"), [(4, 1450), (6, 1430)])
def test_a_tunnel_without_its_mtu_key_has_what_its_dev_leaves(host: Host, family: int, room: int) -> None:
    jumbo = UNDERLAY.replace("nodad = true", "nodad = true\nmtu = 9000")
    host.write("a.toml", jumbo + SOURCE[family] + "\nmtu = 1300\n[vxlan.free]\nvni = 6\nmtu = 1300\n")
    host.apply()
    host.write("a.toml", jumbo + SOURCE[family] + "\n[vxlan.free]\nvni = 6\n")
    host.apply()
    assert (host.link("vx")["mtu"], host.link("free")["mtu"]) == (room + 7500, 1500)
    # The key of its dev goes together with its own.
    host.write("a.toml", jumbo + SOURCE[family] + "\nmtu = 1300\n")
    host.apply()
    host.write("a.toml", UNDERLAY + SOURCE[family])
    host.apply()
    assert host.link("vx")["mtu"] == room
    # And one comes where the other goes.
    host.write("a.toml", UNDERLAY + SOURCE[family] + "\nmtu = 1300\n")
    host.apply()
    host.write("a.toml", jumbo + SOURCE[family])
    host.apply()
    assert host.link("vx")["mtu"] == room + 7500


def test_a_tunnel_that_is_made_with_the_bridge_that_carries_it_has_the_room_of_that(host: Host) -> None:
    host.write("a.toml", '[bridge.under]\nmtu = 9000\n[vxlan.vx]\nvni = 5\ndev = "under"\n')
    host.apply()
    assert (host.link("under")["mtu"], host.link("vx")["mtu"]) == (9000, 8950)
    host.write("b.toml", '[veth.port]\nmaster = "under"\npeer = { name = "far" }\n')
    host.apply()
    assert host.link("under")["mtu"] == 9000


def test_spanning_tree_is_turned_off_together_with_its_times(host: Host) -> None:
    host.write("a.toml", "[bridge.br0]\nstp = true\nforward_delay = 2\nmax_age = 6\nhello_time = 2\n")
    host.apply()
    host.write("a.toml", "[bridge.br0]\nforward_delay = 0\n")
    host.apply()
    assert host.link("br0")["linkinfo"]["info_data"]["stp_state"] == 0
    assert host.netd("diff", check=None).returncode == 0
