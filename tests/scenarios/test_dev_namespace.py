"""A tunnel in a namespace whose packets are sent by another one: ``dev_namespace``."""

from __future__ import annotations

import pytest

from tests.support.host import Host

#: Both hosts' file: the overlay in a namespace, the underlay on the host. {me} and {other} end the addresses.
OVERLAY = """
[namespace.lab.vxlan.vxlan0]
vni = 24
dev = "eth0"
dev_namespace = ""
local = "{net}{me}"
remote = "{net}{other}"
addresses = ["172.16.0.{me}/24", "fd16::{me}/64"]
nodad = true
"""

#: The underlay in a namespace, the overlay on the host: a bridge and a namespace behind it.
UNDERLAY_INSIDE = """
[namespace.under.veth.eth0]
addresses = ["10.9.0.1/24"]
peer = { name = "far0", namespace = "far", addresses = ["10.9.0.2/24"] }

[bridge.br0]
addresses = ["10.8.0.1/24"]

[vxlan.vx0]
vni = 30
dev = "eth0"
dev_namespace = "under"
local = "10.9.0.1"
remote = ["10.9.0.2"]
mac = "02:00:00:00:00:30"
master = "br0"

[namespace.far.vxlan.vx0]
vni = 30
dev = "far0"
local = "10.9.0.2"
remote = "10.9.0.1"
addresses = ["10.8.0.2/24"]
"""


def overlay(host: Host, me: int, net: str = "10.230.4.", more: str = "") -> None:
    host.write("lab.toml", OVERLAY.format(net=net, me=me, other=3 - me) + more)


def carried_by(host: Host, name: str, ns: str) -> dict[str, object]:
    """The options of a tunnel, and whether its packets are sent in another namespace."""
    link = host.link(name, ns)
    return {**link["linkinfo"]["info_data"], "elsewhere": "link_netnsid" in link or "link_netns" in link}


@pytest.mark.parametrize("net", ["10.230.4.", "fd04::"], ids=["over-ipv4", "over-ipv6"])
def test_an_overlay_in_a_namespace_is_carried_by_the_host(pair: tuple[Host, Host], net: str) -> None:
    for number, each in enumerate(pair, 1):
        overlay(each, number, net)
        each.daemon()
    found = carried_by(pair[0], "vxlan0", "lab")
    assert (found["id"], found["elsewhere"]) == (24, True)
    assert "vxlan0" not in pair[0].names(), "it was never on the host"
    assert pair[0].link("vxlan0", "lab")["group"] in ("netd", "28260")
    pair[0].ping("172.16.0.2", "fd16::2", ns="lab")
    pair[1].ping("172.16.0.1", "fd16::1", ns="lab")
    pair[0].ping("172.16.0.2", size=1300, ns="lab")


def test_what_anybody_deletes_comes_back_and_traffic_flows(pair: tuple[Host, Host]) -> None:
    for number, each in enumerate(pair, 1):
        overlay(each, number)
        each.daemon()
    here, _ = pair
    mac = here.link("vxlan0", "lab")["address"]
    for damage in (
        "ip -n lab link del vxlan0",
        "ip -n lab link set vxlan0 down",
        "ip netns exec lab bridge fdb del 00:00:00:00:00:00 dev vxlan0",
        "ip netns del lab",
    ):
        here.sh(damage)
        here.until(lambda: here.pings("172.16.0.2", ns="lab"), damage)
        here.converged()
        assert here.link("vxlan0", "lab")["address"] == mac, damage


def test_it_waits_for_its_dev_and_for_its_namespace(pair: tuple[Host, Host]) -> None:
    here, there = pair
    overlay(there, 2)
    there.daemon()
    here.sh("ip link set eth0 name uplink")
    overlay(here, 1)
    here.daemon()
    assert here.state("lab:vxlan/vxlan0") == "pending"
    here.sh("ip link set uplink name eth0 up && ip addr replace 10.230.4.1/24 dev eth0")
    here.until(lambda: here.pings("172.16.0.2", ns="lab"), "the dev is there")

    elsewhere = OVERLAY.replace('dev_namespace = ""', 'dev_namespace = "under"')
    here.write("lab.toml", elsewhere.format(net="10.9.0.", me=1, other=2))
    here.until(lambda: here.state("lab:vxlan/vxlan0") == "pending", "nothing declares that namespace")
    here.sh("ip netns add under && ip -n under link add eth0 type veth peer name p0")
    here.until(lambda: here.state("lab:vxlan/vxlan0") == "ok", "the namespace and the dev in it are there")
    here.sh("ip netns del under")
    here.until(lambda: here.state("lab:vxlan/vxlan0") == "pending", "they are gone, and the tunnel with them")
    assert "vxlan0" not in here.names("lab")


def test_the_underlay_can_be_the_one_in_a_namespace(host: Host) -> None:
    host.write("lab.toml", UNDERLAY_INSIDE)
    host.daemon()
    assert carried_by(host, "vx0", "")["elsewhere"]
    host.ping("10.8.0.2")
    host.netd("diff")
    for damage in (
        "ip -n under link del eth0", "ip netns del under", "ip link del vx0", "ip link del br0", "ip netns del far",
        "ip link set vx0 nomaster",
    ):  # fmt: skip
        host.sh(damage)
        host.until(lambda: host.pings("10.8.0.2"), damage)
        host.converged()
    host.remove("lab.toml")
    host.until(lambda: not {"vx0", "br0"} & host.names() and not host.namespaces(), "all of it is removed")


def test_apply_converges_at_once_when_the_dev_is_recreated(host: Host) -> None:
    host.write("lab.toml", UNDERLAY_INSIDE)
    host.apply()
    host.sh("ip -n under link del eth0 && ip -n under link add eth0 type veth peer name other0")
    host.apply()
    host.ping("10.8.0.2")
    host.netd("diff")


def test_a_vni_that_a_deleted_namespace_still_has_is_waited_for(pair: tuple[Host, Host]) -> None:
    host, _ = pair
    overlay(host, 1)
    host.apply()
    host.sh("ip netns del lab")
    host.apply()
    assert host.netd("diff").returncode == 0

    inside = host.start("sleep", "1000", ns="lab")
    host.until(lambda: host.sh("ip netns pids lab"), "the process is inside")
    host.daemon()
    host.sh("ip netns del lab")
    host.until(lambda: host.state("lab:vxlan/vxlan0") == "pending", "the process keeps the namespace, and so the VNI")
    (row,) = [each for each in host.status()["objects"] if each["object"] == "lab:vxlan/vxlan0"]
    assert row["reason"] == "waits for VNI 24 on port 4789: a tunnel in another namespace uses it"
    inside.stop()
    host.until(lambda: host.state("lab:vxlan/vxlan0") == "ok", "the namespace has ended")


def test_another_dev_namespace_recreates_it(host: Host) -> None:
    host.write("lab.toml", UNDERLAY_INSIDE)
    host.daemon()
    index = host.link("vx0")["ifindex"]
    host.sh("ip link add eth0 up type veth peer name eth0p && ip addr add 10.7.0.1/24 dev eth0")
    host.write("lab.toml", UNDERLAY_INSIDE.replace('dev_namespace = "under"', 'dev_namespace = ""'))
    host.until(lambda: not carried_by(host, "vx0", "")["elsewhere"], "it is sent by the host now")
    host.converged()
    assert host.link("vx0")["ifindex"] != index
    host.write("lab.toml", UNDERLAY_INSIDE)
    host.until(lambda: carried_by(host, "vx0", "")["elsewhere"], "and by the namespace again")
    host.converged()
    host.ping("10.8.0.2")


FOREIGN = """
[namespace.lab.vxlan.vx0]
vni = 7
dev = "{dev}"
"""


@pytest.mark.parametrize("carrier", ["eth0", ""])
def test_a_foreign_tunnel_that_is_sent_elsewhere_is_a_conflict_and_not_adopted(host: Host, carrier: str) -> None:
    """Inside, a link with the index of its carrier has the very name that the file names."""
    host.sh(
        "ip netns add lab; for i in 1 2 3 4; do ip -n lab link add p$i type veth peer name q$i; done;"
        "ip link add eth0 up type veth peer name eth0p"
    )
    dev = f"dev {carrier}" if carrier else "local 127.0.0.1"
    host.sh(f"ip link add vx0 netns lab type vxlan id 7 {dev} dstport 4789")
    inside = {link["ifindex"]: link["ifname"] for link in host.links("lab")}
    name = inside[host.link("eth0")["ifindex"]]
    host.write("lab.toml", FOREIGN.format(dev=name) if carrier else "[namespace.lab.vxlan.vx0]\nvni = 7\n")
    index = host.link("vx0", "lab")["ifindex"]
    host.daemon()
    (row,) = [each for each in host.status()["objects"] if each["object"] == "lab:vxlan/vx0"]
    assert row["state"] == "conflict"
    assert 'dev_namespace is "", not lab' in row["reason"]
    assert host.link("vx0", "lab")["ifindex"] == index, "it is not touched"


def test_a_foreign_tunnel_that_is_sent_where_the_file_says_is_adopted(host: Host) -> None:
    host.sh("ip netns add lab; ip link add eth0 up type veth peer name eth0p")
    host.sh("ip link add vx0 netns lab type vxlan id 7 dev eth0 dstport 4789 remote 10.1.0.2")
    index = host.link("vx0", "lab")["ifindex"]
    host.write("lab.toml", FOREIGN.format(dev="eth0") + 'dev_namespace = ""\nremote = "10.1.0.2"\n')
    host.daemon()
    host.converged()
    assert host.state("lab:vxlan/vx0") == "ok"
    host.remove("lab.toml")
    host.netd("reload")
    assert host.link("vx0", "lab")["ifindex"] == index, "it stays"


def test_two_tunnels_of_one_vni_clash_where_they_are_sent_and_only_there(host: Host) -> None:
    files = "[namespace.{ns}.vxlan.vx0]\nvni = 7\n{more}"
    both = files.format(ns="a", more='dev_namespace = ""') + "\n" + files.format(ns="b", more='dev_namespace = ""')
    host.write("lab.toml", both)
    assert "vni: a:vxlan/vx0 already uses 7 on port 4789" in host.netd("check", check=1).stderr
    host.write("lab.toml", files.format(ns="a", more='dev_namespace = ""') + "\n" + files.format(ns="b", more=""))
    host.netd("check")


def test_check_warns_of_what_nothing_declares(host: Host) -> None:
    host.write("lab.toml", '[namespace.a.vxlan.vx0]\nvni = 7\ndev = "eth7"\ndev_namespace = "nowhere"\n')
    said = host.netd("check").stderr
    assert "the namespace 'nowhere' is not declared" in said
    assert "lab.toml:4" in said


def test_the_mtu_of_the_overlay_follows_the_dev_in_the_other_namespace(pair: tuple[Host, Host]) -> None:
    lab = """
[namespace.lab.bridge.br0]
mtu = "auto"
addresses = ["172.16.1.{me}/24"]
"""
    for number, each in enumerate(pair, 1):
        overlay(each, number, more='mtu = "auto"\nmaster = "br0"\n' + lab.format(me=number))
        each.daemon()
    assert pair[0].link("br0", "lab")["mtu"] == 1450
    for each in pair:
        each.sh("ip link set eth0 mtu 1400")
        each.until(lambda each=each: each.link("br0", "lab")["mtu"] == 1350, "it follows")  # type: ignore[misc]
        each.converged()
    pair[0].ping("172.16.1.2", ns="lab", size=1322)


def test_the_firewall_of_the_namespace_that_sends_is_opened(pair: tuple[Host, Host]) -> None:
    here, there = pair
    overlay(there, 2)
    there.daemon()
    here.sh("nft 'add table inet closed; add chain inet closed in { type filter hook input priority 0; policy drop; }'")
    overlay(here, 1)
    here.daemon()
    rows = {each["object"]: each for each in here.status()["objects"]}
    assert "a firewall drops packets" in rows["lab:vxlan/vxlan0"]["reason"]
    overlay(here, 1, more="open_firewall = true\n")
    here.until(lambda: here.pings("172.16.0.2", ns="lab"), "the firewall of the host lets it in")
    assert not here.nft("lab")
