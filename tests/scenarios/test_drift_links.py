"""Namespaces, pairs, bridges and their ports: one line per field that can drift."""

from __future__ import annotations

import pytest

from tests.scenarios.drift import BRIDGE, PAIR, Drift, addresses, comes_back, link, option, port
from tests.support.host import Host
from tests.support.stage import Stage

QUIET = """
[namespace.a.veth.eth0]
up = false
peer = { name = "port-a" }
"""

#: Three namespaces of one file on a bridge.
SWITCH = "# a pings 10.1.0.2 fd01::2 10.1.0.3 fd01::3\n[bridge.br0]\n" + "".join(
    f"""
[namespace.{name}.veth.eth0]
addresses = ["10.1.0.{number}/24", "fd01::{number}/64"]
gateway = ["10.1.0.254", "fd01::254"]
nodad = true
peer = {{ name = "port-{name}", master = "br0" }}
"""
    for number, name in enumerate("abc", 1)
)

#: A process that stays in a namespace for a while.
IN_A = """
rm -f /run/inside
ip netns exec a sh -c 'touch /run/inside; exec sleep 20' >/dev/null 2>&1 &
until test -e /run/inside; do sleep 0.01; done
"""

CASES = [
    # Namespaces
    Drift("namespace-deleted", PAIR, "ip netns del a", link("eth0", "up", "mtu", "address", ns="a"),
          "namespace/a create"),
    Drift("namespace-of-a-peer-deleted", BRIDGE, "ip netns del far", None, "namespace/far create",
          again=":link/to-far"),
    Drift("namespace-of-a-peer-deleted-and-made-by-another", BRIDGE, "ip netns del far; ip netns add far", None,
          "veth/to-far create", again=":link/to-far"),
    Drift("namespace-deleted-empty", PAIR, "ip netns del b", link("lo", ns="b"),
          "namespace/b create"),
    Drift("namespace-deleted-and-made-by-another", PAIR, "ip netns del a; ip netns add a", None,
          "a:veth/eth0 create"),
    Drift("namespace-deleted-while-a-process-lives-in-it", PAIR, f"{IN_A} ip netns del a", None,
          "namespace/a create", again=":link/port-a"),
    Drift("namespace-made-by-another-while-a-process-lives-in-the-old", PAIR,
          f"{IN_A} ip netns del a; ip netns add a", None, "a:veth/eth0 recreate", again=":link/port-a"),
    Drift("namespace-unmounted", PAIR, "umount /run/netns/a", None, "namespace/a create"),
    Drift("namespace-is-another", PAIR, """
          ip netns add t$$; mount --bind /run/netns/t$$ /run/netns/a; ip netns del t$$""", None, "namespace/a update",
          again="namespace/a :link/port-a"),
    Drift("namespaces-all-deleted", SWITCH, "ip netns del a; ip netns del b; ip netns del c", None,
          "namespace/c create"),
    Drift("everything-deleted", SWITCH, """
          ip netns del a; ip link del port-b; ip link del br0; ip netns del c""", None,
          "bridge/br0 create"),
    Drift("namespace-loopback-down", PAIR, "ip -n b link set lo down", link("lo", ns="b"),
          "namespace/b update loopback"),
    # Pairs
    Drift("veth-deleted-in-the-namespace", PAIR, "ip -n a link del eth0", link("eth0", "up", "mtu", "address", ns="a"),
          "a:veth/eth0 create"),
    Drift("veth-deleted-on-the-host", PAIR, "ip link del port-a", link("port-a", "up", "mtu", "address", "master"),
          "a:veth/eth0 create"),
    Drift("veth-down", PAIR, "ip -n a link set eth0 down", link("eth0", "up", "ifindex", ns="a"),
          "a:veth/eth0 update up"),
    Drift("veth-peer-down", PAIR, "ip link set port-a down", link("port-a", "up", "ifindex"),
          "a:veth/eth0 update peer.up"),
    Drift("veth-up-against-the-file", QUIET, "ip -n a link set eth0 up", link("eth0", "up", "ifindex", ns="a"),
          "a:veth/eth0 update up"),
    Drift("veth-mtu", PAIR, "ip -n a link set eth0 mtu 1280", link("eth0", "mtu", "ifindex", ns="a"),
          "a:veth/eth0 update mtu"),
    Drift("veth-peer-mtu", PAIR, "ip link set port-a mtu 1280", link("port-a", "mtu", "ifindex"),
          "a:veth/eth0 update peer.mtu"),
    Drift("veth-mac", PAIR, "ip -n a link set eth0 address 02:00:00:00:00:99",
          link("eth0", "address", "ifindex", ns="a"),
          "a:veth/eth0 update mac"),
    Drift("veth-peer-mac", PAIR, "ip link set port-a address 02:00:00:00:00:99", link("port-a", "address", "ifindex"),
          "a:veth/eth0 update peer.mac"),
    Drift("veth-peer-unplugged", PAIR, "ip link set port-a nomaster", link("port-a", "master", "ifindex"),
          "a:veth/eth0 update peer.master"),
    Drift("veth-peer-other-master", PAIR, "ip link set port-a master br1", link("port-a", "master", "ifindex"),
          "a:veth/eth0 update peer.master"),
    Drift("veth-renamed", PAIR, "ip link set port-a down; ip link set port-a name lost up", link("port-a", "master"),
          "a:veth/eth0 update peer.name"),
    Drift("veth-renamed-in-the-namespace", PAIR, "ip -n a link set eth0 down; ip -n a link set eth0 name lost up",
          addresses("eth0", "a"),
          "a:veth/eth0 update name"),
    Drift("veth-moved", PAIR, "ip -n a link set eth0 netns b", addresses("eth0", "a"),
          "a:veth/eth0 recreate",
          again=":link/port-a"),
    Drift("veth-peer-moved", PAIR, "ip link set port-a netns b", link("port-a", "up", "master"),
          "a:veth/eth0 recreate",
          again="a:link/eth0"),
    Drift("veth-replaced-by-another-kind", PAIR, "ip link del port-a; ip link add port-a type bridge",
          link("port-a", "linkinfo.info_kind"),
          "a:veth/eth0 recreate"),
    Drift("veth-group", PAIR, "ip -n a link set eth0 group 7", link("eth0", "group", "ifindex", ns="a"),
          "a:veth/eth0 update link_group"),
    Drift("veth-peer-group", PAIR, "ip link set port-a group 7", link("port-a", "group", "ifindex"),
          "a:veth/eth0 update peer.link_group"),
    Drift("veth-peer-plugged-anew", PAIR, "ip link set port-a nomaster; ip link set port-a master br0", port("cost"),
          "a:veth/eth0 update peer.bridge_port.cost"),
    Drift("veth-renamed-and-its-name-taken", PAIR, """
          ip link set port-a down; ip link set port-a name lost; ip link add port-a type bridge""", None,
          "a:veth/eth0 recreate", again="a:link/eth0"),
    Drift("veth-moved-to-the-host", PAIR, "ip -n a link set eth0 netns 1", None, "a:veth/eth0 recreate",
          again=":link/port-a"),
    Drift("veth-moved-under-another-name", PAIR, "ip -n a link set eth0 name lost netns b", None,
          "a:veth/eth0 recreate", again=":link/port-a"),
    Drift("veth-made-again-with-another-peer", PAIR, "ip link del port-a; ip link add port-a type veth peer name lost",
          None, "a:veth/eth0 recreate"),
    Drift("veth-made-again-in-two-pairs", PAIR, """
          ip link del port-a; ip link add port-a type veth peer name lost
          ip -n a link add eth0 type veth peer name lost""", None, "a:veth/eth0 recreate"),
    Drift("veth-made-again-by-another-kind-inside", PAIR, "ip -n a link del eth0; ip -n a link add eth0 type bridge",
          None, "a:veth/eth0 recreate"),
    Drift("veth-made-again-but-bare", PAIR, """
          ip link del port-a; ip -n a link add eth0 type veth peer name port-a netns 1""",
          link("port-a", "up", "master", "mtu", "address"), "a:veth/eth0 update peer.master",
          spoilt="(a:link/eth0|:link/port-a)"),
    # Bridges
    Drift("bridge-deleted", BRIDGE, "ip link del br0", link("br0", "up", "mtu", "address"),
          "bridge/br0 create"),
    Drift("bridge-deleted-ports", PAIR, "ip link del br0", link("port-a", "master"),
          "bridge/br0 create"),
    Drift("bridge-down", BRIDGE, "ip link set br0 down", link("br0", "up", "ifindex"),
          "bridge/br0 update up"),
    Drift("bridge-mtu", BRIDGE, "ip link set br0 mtu 1280", link("br0", "mtu", "ifindex"),
          "bridge/br0 update mtu"),
    Drift("bridge-mac", BRIDGE, "ip link set br0 address 02:00:00:00:00:99", link("br0", "address", "ifindex"),
          "bridge/br0 update mac"),
    Drift("bridge-stp", BRIDGE, "ip link set br0 type bridge stp_state 1", option("br0", "stp_state"),
          "bridge/br0 update stp"),
    Drift("bridge-forward-delay", BRIDGE, "ip link set br0 type bridge forward_delay 700",
          option("br0", "forward_delay"),
          "bridge/br0 update forward_delay"),
    Drift("bridge-hello-time", BRIDGE, "ip link set br0 type bridge hello_time 300", option("br0", "hello_time"),
          "bridge/br0 update hello_time"),
    Drift("bridge-max-age", BRIDGE, "ip link set br0 type bridge max_age 1500", option("br0", "max_age"),
          "bridge/br0 update max_age"),
    Drift("bridge-ageing-time", BRIDGE, "ip link set br0 type bridge ageing_time 100", option("br0", "ageing_time"),
          "bridge/br0 update ageing_time"),
    Drift("bridge-priority", BRIDGE, "ip link set br0 type bridge priority 8192", option("br0", "priority"),
          "bridge/br0 update priority"),
    Drift("bridge-mcast-snooping", BRIDGE, "ip link set br0 type bridge mcast_snooping 1",
          option("br0", "mcast_snooping"),
          "bridge/br0 update mcast_snooping"),
    Drift("bridge-group-fwd-mask", BRIDGE, "ip link set br0 type bridge group_fwd_mask 16",
          option("br0", "group_fwd_mask"),
          "bridge/br0 update group_fwd_mask"),
    Drift("bridge-replaced-by-another-kind", BRIDGE,
          "ip link del br0; ip link add br0 type veth peer name lost", link("br0", "linkinfo.info_kind", "up"),
          "bridge/br0 recreate"),
    Drift("bridge-renamed", BRIDGE, "ip link set br0 down; ip link set br0 name lost", None, "bridge/br0 update name"),
    Drift("bridge-group", BRIDGE, "ip link set br0 group 7", link("br0", "group", "ifindex"),
          "bridge/br0 update link_group"),
    Drift("bridge-deleted-with-ports-of-many-namespaces", SWITCH, "ip link del br0", None, "bridge/br0 create"),
    Drift("bridge-option-by-sysfs", BRIDGE, "echo 1 > /sys/class/net/br0/bridge/stp_state", option("br0", "stp_state"),
          "bridge/br0 update stp"),
    Drift("bridge-mtu-by-sysfs", BRIDGE, "echo 1280 > /sys/class/net/br0/mtu", link("br0", "mtu", "ifindex"),
          "bridge/br0 update mtu"),
    # Ports
    Drift("port-isolated", PAIR, "bridge link set dev port-a isolated off", port("isolated"),
          "a:veth/eth0 update peer.bridge_port.isolated"),
    Drift("port-hairpin", PAIR, "bridge link set dev port-a hairpin off", port("hairpin"),
          "a:veth/eth0 update peer.bridge_port.hairpin"),
    Drift("port-learning", PAIR, "bridge link set dev port-a learning on", port("learning"),
          "a:veth/eth0 update peer.bridge_port.learning"),
    Drift("port-flood", PAIR, "bridge link set dev port-a flood off", port("flood"),
          "a:veth/eth0 update peer.bridge_port.flood"),
    Drift("port-mcast-flood", PAIR, "bridge link set dev port-a mcast_flood off", port("mcast_flood"),
          "a:veth/eth0 update peer.bridge_port.mcast_flood"),
    Drift("port-neigh-suppress", PAIR, "bridge link set dev port-a neigh_suppress off", port("neigh_suppress"),
          "a:veth/eth0 update peer.bridge_port.neigh_suppress"),
    Drift("port-cost", PAIR, "bridge link set dev port-a cost 77", port("cost"),
          "a:veth/eth0 update peer.bridge_port.cost"),
    Drift("port-priority", PAIR, "bridge link set dev port-a priority 20", port("priority"),
          "a:veth/eth0 update peer.bridge_port.priority"),
    Drift("port-isolated-by-sysfs", PAIR, "echo 0 > /sys/class/net/port-a/brport/isolated", port("isolated"),
          "a:veth/eth0 update peer.bridge_port.isolated"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_comes_back(stage: Stage, case: Drift) -> None:
    comes_back(stage, case)


def test_a_deleted_veth_comes_back_with_the_mac_it_was_given(host: Host) -> None:
    host.write("lab.toml", '[namespace.a.veth.eth0]\npeer = { name = "to-a" }\n[bridge.br0]\n')
    host.daemon()
    macs = [link(name, "address", ns=ns)(host) for name, ns in (("eth0", "a"), ("to-a", ""), ("br0", ""))]
    assert all(macs)
    host.sh("ip link del to-a; ip link del br0")
    host.until(
        lambda: [link(name, "address", ns=ns)(host) for name, ns in (("eth0", "a"), ("to-a", ""), ("br0", ""))] == macs,
        "all three are back as they were",
    )


def test_traffic_flows_again_through_everything_that_was_broken(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [bridge.br0]
        addresses = ["10.1.0.254/24", "fd01::254/64"]
        nodad = true

        [namespace.a.veth.eth0]
        addresses = ["10.1.0.1/24", "fd01::1/64"]
        nodad = true
        peer = { name = "port-a", master = "br0" }

        [namespace.b.veth.eth0]
        addresses = ["10.1.0.2/24", "fd01::2/64"]
        nodad = true
        peer = { name = "port-b", master = "br0" }
        """,
    )
    host.daemon()
    for harm in ("ip link del br0", "ip netns del a", "ip link del port-b", "ip -n a addr flush dev eth0", "true"):
        host.ping("10.1.0.2", "fd01::2", "10.1.0.254", "fd01::254", ns="a")
        host.sh(harm)
    host.ping("10.1.0.1", "fd01::1", ns="b")


def test_what_others_put_on_a_link_stays(host: Host) -> None:
    host.write("lab.toml", BRIDGE)
    host.daemon()
    host.sh(
        """
        ip addr add 10.77.0.1/24 dev br0
        ip route add 10.78.0.0/24 via 10.77.0.2
        ip link add foreign type veth peer name other
        ip link set foreign master br0
        ip addr del 10.1.0.1/24 dev br0
        """
    )
    host.until(lambda: "10.1.0.1/24" in host.addresses("br0"), "netd's own address is back")
    assert "10.77.0.1/24" in host.addresses("br0")
    assert host.routes("10.78.0.0/24")
    assert host.link("foreign")["master"] == "br0"


def test_someone_who_keeps_changing_a_thing_is_named_and_not_fought_forever(host: Host) -> None:
    host.write("lab.toml", BRIDGE)
    host.daemon()
    fight = host.start("sh", "-c", "while ip link set br0 mtu 1280; do sleep 0.01; done")
    host.until(lambda: host.state("bridge/br0") == "contended", "the bridge is contended")
    assert host.status()["state"] == "degraded"
    fight.kill()
    host.until(lambda: host.link("br0")["mtu"] == 1400, "netd wins in the end")
