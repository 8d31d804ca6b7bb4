"""A common layer 2 over two and three hosts, each of which runs its own netd."""

from __future__ import annotations

import re

import pytest

from tests.support.host import Host

#: Both hosts' file; {me} and {other} are the last number of the addresses.
UNICAST = """
[vxlan.vxlan0]
vni = 24
dev = "eth0"
local = "{net}{me}"
remote = "{net}{other}"
addresses = ["172.16.0.{me}/24", "fd16::{me}/64"]
nodad = true
"""

BRIDGED = """
[bridge.br0]

[vxlan.vxlan0]
vni = 24
dev = "eth0"
local = "{net}{me}"
remote = "{net}{other}"
master = "br0"

[namespace.ns{me}1.veth.eth0]
addresses = ["192.168.1.{me}1/24", "fd01::{me}1/64"]
mtu = 1430
nodad = true
peer = {{ name = "port1", master = "br0" }}

[namespace.ns{me}2.veth.eth0]
addresses = ["192.168.1.{me}2/24", "fd01::{me}2/64"]
mtu = 1430
nodad = true
peer = {{ name = "port2", master = "br0" }}
"""

UNDERLAY = pytest.mark.parametrize("net", ["10.230.4.", "fd04::"], ids=["over-ipv4", "over-ipv6"])


@UNDERLAY
def test_two_hosts_share_a_segment_by_unicast(pair: tuple[Host, Host], net: str) -> None:
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", UNICAST.format(net=net, me=number, other=3 - number))
        each.daemon()
    data = pair[0].link("vxlan0")["linkinfo"]["info_data"]
    assert (data["id"], data["link"], data["port"]) == (24, "eth0", 4789)
    assert net + "1" in (data.get("local"), data.get("local6"))
    assert net + "2" in (data.get("remote"), data.get("remote6"))
    pair[0].ping("172.16.0.2", "fd16::2")
    pair[1].ping("172.16.0.1", "fd16::1")
    pair[0].ping("172.16.0.2", size=1300)


@UNDERLAY
def test_namespaces_on_two_hosts_share_a_bridge(pair: tuple[Host, Host], net: str) -> None:
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", BRIDGED.format(net=net, me=number, other=3 - number))
        each.daemon()
    ports = {each["ifname"] for each in pair[0].json("bridge", "-j", "link") if each.get("master") == "br0"}
    assert ports == {"vxlan0", "port1", "port2"}
    for target in ("11", "12", "21", "22"):
        pair[0].ping(f"192.168.1.{target}", f"fd01::{target}", ns="ns11")
        pair[1].ping(f"192.168.1.{target}", f"fd01::{target}", ns="ns22")
    pair[1].serve("web", 80, ns="ns21")
    assert pair[0].ask("192.168.1.21", 80, ns="ns12") == ["web", "192.168.1.12", "80"]
    assert pair[0].ask("fd01::21", 80, ns="ns12") == ["web", "fd01::12", "80"]


@UNDERLAY
def test_three_hosts_flood_to_a_list_of_remotes(trio: tuple[Host, Host, Host], net: str) -> None:
    for number, each in enumerate(trio, 1):
        others = ", ".join(f'"{net}{other}"' for other in (1, 2, 3) if other != number)
        text = UNICAST.format(net=net, me=number, other="")
        each.write("lab.toml", re.sub(r"remote = .*", f"remote = [{others}]", text))
        each.daemon()
    entries = trio[0].json("bridge", "-j", "fdb", "show", "dev", "vxlan0")
    flooding = {each["dst"] for each in entries if each["mac"] == "00:00:00:00:00:00"}
    assert flooding == {f"{net}2", f"{net}3"}
    for here in trio:
        for number in (1, 2, 3):
            here.ping(f"172.16.0.{number}", f"fd16::{number}")


@pytest.mark.parametrize("group", ["239.1.1.1", "ff05::24"])
@pytest.mark.thorough
def test_three_hosts_share_a_multicast_group(trio: tuple[Host, Host, Host], group: str) -> None:
    for number, each in enumerate(trio, 1):
        each.write(
            "lab.toml",
            f"""
            [vxlan.vxlan0]
            vni = 24
            dev = "eth0"
            group = "{group}"
            ttl = 4
            addresses = ["172.16.0.{number}/24", "fd16::{number}/64"]
            nodad = true
            """,
        )
        each.daemon()
    data = trio[0].link("vxlan0")["linkinfo"]["info_data"]
    assert group in (data.get("group"), data.get("group6"))
    assert data["ttl"] == 4
    for here in trio:
        for number in (1, 2, 3):
            here.ping(f"172.16.0.{number}", f"fd16::{number}")


def test_static_entries_carry_traffic_where_nothing_is_learned(pair: tuple[Host, Host]) -> None:
    for number, each in enumerate(pair, 1):
        each.write(
            "lab.toml",
            f"""
            [vxlan.vxlan0]
            vni = 24
            dev = "eth0"
            local = "10.230.4.{number}"
            port = 8472
            learning = false
            mac = "02:00:00:00:00:0{number}"
            addresses = ["172.16.0.{number}/24", "fd16::{number}/64"]
            nodad = true
            fdb = [{{ mac = "02:00:00:00:00:0{3 - number}", dst = "10.230.4.{3 - number}" }}]

            [[neighbor]]
            address = "172.16.0.{3 - number}"
            mac = "02:00:00:00:00:0{3 - number}"
            dev = "vxlan0"

            [[neighbor]]
            address = "fd16::{3 - number}"
            mac = "02:00:00:00:00:0{3 - number}"
            dev = "vxlan0"
            """,
        )
        each.apply()
    (entry,) = pair[0].json("bridge", "-j", "fdb", "show", "dev", "vxlan0")
    assert (entry["mac"], entry["dst"]) == ("02:00:00:00:00:02", "10.230.4.2")
    pair[0].ping("172.16.0.2", "fd16::2")


def test_a_vxlan_waits_for_its_dev_and_is_built_when_that_appears(make_host) -> None:  # type: ignore[no-untyped-def]
    first, second = make_host("a"), make_host("b")
    for number, each in enumerate((first, second), 1):
        each.write("lab.toml", UNICAST.format(net="10.230.4.", me=number, other=3 - number))
        each.daemon()
        assert each.state("vxlan/vxlan0") == "pending"
        assert each.link("vxlan0") is None
    first.cable(second)
    first.address("eth0", "10.230.4.1/24")
    second.address("eth0", "10.230.4.2/24")
    first.ping("172.16.0.2", "fd16::2")
    first.until(lambda: first.state("vxlan/vxlan0") == "ok", "the vxlan is ok")


def test_a_changed_vni_is_made_again_and_the_other_host_follows(pair: tuple[Host, Host]) -> None:
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", UNICAST.format(net="10.230.4.", me=number, other=3 - number))
        each.daemon()
    pair[0].ping("172.16.0.2")
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", UNICAST.format(net="10.230.4.", me=number, other=3 - number).replace("24\n", "25\n", 1))
        each.netd("reload")
        assert each.link("vxlan0")["linkinfo"]["info_data"]["id"] == 25
    pair[0].ping("172.16.0.2", "fd16::2")
