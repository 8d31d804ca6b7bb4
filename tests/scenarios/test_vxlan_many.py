"""One VXLAN device for many VNIs: each VLAN of the bridge has its own, between two hosts."""

from __future__ import annotations

import pytest

from tests.scenarios.test_bridge_vlans import vlans
from tests.support.host import Host

pytestmark = pytest.mark.needs_kernel("vlan_filtering", "vxlan")

LAB = """
[bridge.br0]
vlan_filtering = true
vlan_default_pvid = 0

[vxlan.vx0]
external = true
vnifilter = {filter}
dev = "eth0"
local = "10.230.4.{me}"
remote = ["10.230.4.{other}"]
master = "br0"
vlan_vni = [{{ vlan = 10, vni = 10010 }}, {{ vlan = 20, vni = 10020 }}]

[namespace.a.veth.eth0]
addresses = ["10.10.0.{me}/24"]
mtu = 1400
peer = {{ name = "port-a", master = "br0", vlans = {{ pvid = 10 }} }}

[namespace.b.veth.eth0]
addresses = ["10.10.0.{me}1/24"]
mtu = 1400
peer = {{ name = "port-b", master = "br0", vlans = {{ pvid = 20 }} }}
"""
HARM = [
    "bridge vlan del dev vx0 vid 10",
    "bridge vlan del dev vx0 vid 10 tunnel_info id 10010",
    "bridge vni del dev vx0 vni 10010",
    "bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.230.4.2 src_vni 10010 vni 10010",
    "ip link set vx0 type bridge_slave vlan_tunnel off",
    "ip link del vx0",
]


def begin(pair: tuple[Host, Host], has_filter: str) -> None:
    for me, host in enumerate(pair, 1):
        host.write("lab.toml", LAB.format(me=me, other=3 - me, filter=has_filter))
        host.daemon()


@pytest.mark.parametrize("has_filter", ["false", "true"])
def test_vlans_reach_the_same_vlan_of_the_other_host_and_no_other(pair: tuple[Host, Host], has_filter: str) -> None:
    begin(pair, has_filter)
    assert [host.status()["state"] for host in pair] == ["converged"] * 2
    pair[0].ping("10.10.0.2", ns="a")
    pair[0].ping("10.10.0.21", ns="b")
    assert not pair[0].pings("10.10.0.21", ns="a") and not pair[0].pings("10.10.0.2", ns="b")
    assert vlans(pair[0], "vx0") == {10: [], 20: []}
    assert pair[0].netd("diff", "--json").json["changes"] == []
    pair[0].remove("lab.toml")
    pair[0].netd("reload")
    assert pair[0].names() == {"eth0"}


@pytest.mark.parametrize("harm", HARM)
def test_what_somebody_changes_of_it_is_repaired(pair: tuple[Host, Host], harm: str) -> None:
    begin(pair, "true")
    pair[0].ping("10.10.0.2", ns="a")
    pair[0].sh(harm)
    pair[0].until(lambda: pair[0].netd("diff", "--json", check=None).json["changes"] == [], "it is as declared")
    pair[0].converged()
    pair[0].ping("10.10.0.2", ns="a")
    assert sum(each["repairs"] for each in pair[0].status()["objects"]) > 0
