"""VLANs of a bridge: who reaches whom, by traffic, and that they stay so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.host import Host

pytestmark = pytest.mark.needs_kernel("vlan_filtering", "vlan")

LAB = """
[bridge.br0]
vlan_filtering = true
vlan_default_pvid = 0
{bridge}

[namespace.a.veth.eth0]
addresses = ["10.0.0.1/24"]
peer = {{ name = "port-a", master = "br0", vlans = {a} }}

[namespace.b.veth.eth0]
addresses = ["10.0.0.2/24", "10.0.2.2/24"]
peer = {{ name = "port-b", master = "br0", vlans = {b} }}

[namespace.t.veth.eth0]
peer = {{ name = "port-t", master = "br0", vlans = {t} }}

[namespace.t.vlan.v10]
dev = "eth0"
id = 10
addresses = ["10.0.0.10/24"]

[namespace.t.vlan.v20]
dev = "eth0"
id = 20
addresses = ["10.0.2.20/24"]
"""


def lab(a: str = "{ pvid = 10 }", b: str = "{ pvid = 20 }", t: str = "{ tagged = [10, 20] }", bridge: str = "") -> str:
    return LAB.format(a=a, b=b, t=t, bridge=bridge)


def vlans(host: Host, dev: str) -> dict[int, list[str]]:
    """{VLAN: flags} of one port, or of the bridge, as bridge(8) shows them."""
    shown: Any = host.json("bridge", "-j", "vlan", "show", "dev", dev)
    found: dict[int, list[str]] = {}
    for one in shown[0]["vlans"] if shown else []:
        for vlan in range(one["vlan"], one.get("vlanEnd", one["vlan"]) + 1):
            found[vlan] = one.get("flags", [])
    return found


ACCESS = ["PVID", "Egress Untagged"]


def test_ports_of_different_vlans_do_not_reach_each_other_and_a_trunk_reaches_both(host: Host) -> None:
    host.write("lab.toml", lab())
    host.daemon()
    assert host.status()["state"] == "converged"
    assert vlans(host, "port-a") == {10: ACCESS} and vlans(host, "port-t") == {10: [], 20: []}
    host.ping("10.0.0.10", ns="a")
    host.ping("10.0.2.20", ns="b")
    assert not host.pings("10.0.0.2", ns="a")
    # The port of b changes its VLAN while everything is up.
    index = host.link("port-b")["ifindex"]
    host.write("lab.toml", lab(b="{ pvid = 10 }"))
    host.netd("reload")
    host.ping("10.0.0.2", ns="a")
    assert host.link("port-b")["ifindex"] == index
    assert not host.pings("10.0.2.20", ns="b")
    assert host.netd("diff", "--json").json["changes"] == []


def test_the_bridge_itself_is_in_the_vlans_that_its_table_says(host: Host) -> None:
    bridge = 'vlans = { tagged = [10], pvid = 20 }\naddresses = ["10.0.0.250/24"]\n'
    top = '[vlan.v10]\ndev = "br0"\nid = 10\naddresses = ["10.0.1.250/24"]\n'
    inside = lab(bridge=bridge).replace('"10.0.0.1/24"', '"10.0.1.1/24"')
    host.write("lab.toml", inside + top)
    host.daemon()
    assert vlans(host, "br0") == {10: [], 20: ACCESS}
    host.ping("10.0.0.250", ns="b")
    host.ping("10.0.1.250", ns="a")


RANGES = '{ pvid = 5, untagged = [6], tagged = [30, "40-49", 4094] }'
WANTED = {5: ACCESS, 6: ["Egress Untagged"], 30: [], **{vlan: [] for vlan in range(40, 50)}, 4094: []}
HARM = [
    "bridge vlan del dev port-a vid 45",
    "bridge vlan add dev port-a vid 7 pvid untagged",
    "bridge vlan add dev port-a vid 100-200",
    "bridge vlan add dev port-a vid 30 untagged",
    "bridge vlan del dev port-a vid 1-4094",
    "ip link set port-a nomaster",
    "ip link set br0 type bridge vlan_filtering 0 vlan_default_pvid 9",
    "ip link del port-a",
    "ip link del br0",
    "ip netns del a",
]


@pytest.mark.parametrize("harm", HARM)
def test_what_somebody_changes_is_repaired(host: Host, harm: str) -> None:
    host.write("lab.toml", lab(a=RANGES))
    host.daemon()
    assert vlans(host, "port-a") == WANTED
    host.sh(harm)
    host.until(lambda: vlans(host, "port-a") == WANTED, "the port is in exactly its VLANs")
    host.converged()
    assert vlans(host, "port-b") == {20: ACCESS}
    assert host.netd("diff", "--json").json["changes"] == []


def test_without_the_key_a_port_is_in_the_default_vlan_again_and_a_foreign_one_where_it_was(host: Host) -> None:
    host.sh("ip link add theirs type bridge vlan_filtering 1; ip link add eth0 type veth peer name cable")
    host.sh("ip link set eth0 master theirs; bridge vlan add dev eth0 vid 77; bridge vlan del dev eth0 vid 1")
    bridge = "[bridge.br0]\nvlan_filtering = true\nvlan_default_pvid = 3\n[namespace.a.veth.eth0]\n"
    ports = 'peer = {{ name = "port-a", master = "br0"{vlans} }}\n[interface.eth0]\n{theirs}\n'
    host.write("lab.toml", bridge + ports.format(vlans=", vlans = { pvid = 10 }", theirs="vlans = { tagged = [9] }"))
    host.apply()
    assert (vlans(host, "port-a"), vlans(host, "eth0")) == ({10: ACCESS}, {9: []})
    host.write("lab.toml", bridge + ports.format(vlans="", theirs=""))
    host.apply()
    assert (vlans(host, "port-a"), vlans(host, "eth0")) == ({3: ACCESS}, {77: []})
    assert host.netd("diff", "--json").json["changes"] == []


def test_a_port_in_no_vlan_at_all_hears_nothing(host: Host) -> None:
    host.write("lab.toml", lab(a="{}", b="{ pvid = 10 }"))
    host.daemon()
    assert vlans(host, "port-a") == {}
    assert not host.pings("10.0.0.2", ns="a")
