"""What was there before netd is put back, and what hangs together comes back together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.host import Host

#: A port of somebody else's bridge, with an address, a neighbour and a route of theirs.
FOUND = """
ip link add br8 type bridge
ip link add br9 up type bridge
ip link add p0 type veth peer name p0-other
ip link set p0 mtu 1300 address 02:00:00:00:00:33 master br8
ip addr add 10.5.0.77/24 dev p0
ip neigh add 10.5.0.9 lladdr 02:00:00:00:00:11 dev p0
ip link add p1 up type veth peer name p1-other
ip link set p1-other up
ip addr add 10.6.0.1/24 dev p1
ip route add 10.77.0.0/16 via 10.6.0.2 dev p1 proto static
"""

WRITTEN = """
[interface.p0]
mtu = 1400
mac = "02:00:00:00:00:44"
up = true
master = "br9"
addresses = ["10.5.0.1/24", "fd05::1/64"]
bridge_port.isolated = true

[sysctl]
net.ipv4.conf.p0.rp_filter = 2
net.ipv4.ip_forward = 1

[[neighbor]]
address = "10.5.0.9"
mac = "02:00:00:00:00:99"
dev = "p0"

[[route]]
to = "10.77.0.0/16"
dev = "p1"
"""

CONNECTED = """
[namespace.a.veth.eth0]
addresses = ["10.1.0.1/24", "fd01::1/64"]
gateway = ["10.1.0.254", "fd01::254"]
nodad = true
peer = { name = "to-a", addresses = ["10.1.0.254/24", "fd01::254/64"], nodad = true }
"""


def port(host: Host) -> dict[str, Any]:
    """All that FOUND says of the port."""
    link = host.link("p0")
    return {
        "mtu": link["mtu"],
        "mac": link["address"],
        "up": "UP" in link["flags"],
        "master": link.get("master"),
        "isolated": link["linkinfo"]["info_slave_data"]["isolated"],
        "addresses": host.addresses("p0"),
        "neighbors": host.run("ip", "neigh", "show", "dev", "p0", "nud", "permanent").split(),
        "route": [(route.get("gateway"), route["protocol"]) for route in host.routes("10.77.0.0/16")],
        "sysctls": [host.sysctl("net.ipv4.conf.p0.rp_filter"), host.sysctl("net.ipv4.ip_forward")],
    }


@pytest.mark.parametrize("way", ["the-daemon", "a-daemon-after-a-crash", "apply", "down"])
def test_a_port_is_left_as_it_was_found(host: Host, way: str) -> None:
    host.sh(FOUND)
    found = port(host)
    host.write("a.toml", WRITTEN)
    if way in ("apply", "down"):
        host.apply()
    else:
        daemon = host.daemon()
    assert host.link("p0")["master"] == "br9"
    if way == "a-daemon-after-a-crash":
        daemon.kill()
        host.daemon()
    if way == "down":
        host.netd("down")
    else:
        host.remove("a.toml")
    if way == "apply":
        host.apply()
    host.until(lambda: port(host) == found, "the port is as it was")


def test_a_bridge_that_is_gone_meanwhile_is_not_put_back(host: Host) -> None:
    host.sh(FOUND)
    host.write("a.toml", WRITTEN)
    host.apply()
    host.run("ip", "link", "del", "br8")
    host.remove("a.toml")
    host.apply()
    assert "master" not in host.link("p0")
    assert host.link("p0")["mtu"] == 1300


def test_flushed_routes_come_back_with_those_to_the_own_network(host: Host) -> None:
    host.write("a.toml", CONNECTED)
    daemon = host.daemon()
    host.ping("10.1.0.254", "fd01::254", ns="a")
    with daemon.asleep():
        host.sh("ip route flush table main; ip -6 route flush table main", ns="a")
        assert not host.routes(ns="a")
    host.ping("10.1.0.254", "fd01::254", ns="a")
    host.until(lambda: len(host.routes("default", ns="a")) == 2, "the default routes are back")
    host.converged()
    assert host.netd("diff", check=None).returncode == 0


def test_a_key_that_goes_leaves_the_grace_and_then_the_value(host: Host) -> None:
    host.sh("ip link add p0 mtu 1300 type veth peer name p1")
    host.write("a.toml", "[interface.p0]\nmtu = 1400\nup = true\n")
    host.daemon()
    host.write("a.toml", "[interface.p0]\nup = true\n")
    host.until(lambda: host.link("p0")["mtu"] == 1300, "the MTU that was found is back")
    assert "UP" in host.link("p0")["flags"]


def test_a_port_from_the_host_goes_back_with_the_mtu_that_it_had(host: Host) -> None:
    host.sh("ip link add port0 mtu 1400 type veth peer name other0")
    host.write("a.toml", "[namespace.a.interface.port0]\nfrom_host = true\nmtu = 1300\nup = true\n")
    host.apply()
    assert host.link("port0", "a")["mtu"] == 1300
    host.remove("a.toml")
    host.apply()
    assert host.link("port0")["mtu"] == 1400


def test_a_namespace_stays_while_a_port_in_it_cannot_go_back(host: Host) -> None:
    host.sh("ip link add port0 type veth peer name other0")
    host.write("a.toml", "[namespace.a.interface.port0]\nfrom_host = true\nup = true\n")
    host.apply()
    host.sh("ip link add port0 type bridge")
    host.remove("a.toml")
    assert host.netd("apply", check=None).returncode == 1
    assert "port0" in host.names("a")
    host.sh("ip link del port0")
    host.apply()
    assert host.link("port0")["linkinfo"]["info_kind"] == "veth"
    assert "a" not in host.namespaces()


def test_loopback_of_an_adopted_namespace_is_left_as_it_was_found(host: Host) -> None:
    host.run("ip", "netns", "add", "theirs")
    host.write("a.toml", "[namespace.theirs]\n")
    host.apply()
    assert "UP" in host.link("lo", "theirs")["flags"]
    host.remove("a.toml")
    host.apply()
    assert "UP" not in host.link("lo", "theirs")["flags"]
    assert host.apply()["changes"] == []


def test_a_part_of_a_second_is_put_back_too(host: Host) -> None:
    host.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "412")
    host.write("a.toml", "[bridge.br0]\nforward_delay = 5\n")
    host.apply()
    assert host.link("br0")["linkinfo"]["info_data"]["forward_delay"] == 500
    host.write("a.toml", "[bridge.br0]\n")
    host.apply()
    assert host.link("br0")["linkinfo"]["info_data"]["forward_delay"] == 412


def test_a_sysctl_of_a_namespace_that_came_with_it_goes_back_when_its_key_goes(host: Host) -> None:
    host.write("lab.toml", "[namespace.a.sysctl]\nnet.ipv4.ip_forward = 1\nnet.ipv4.tcp_fin_timeout = 17\n")
    host.daemon()
    keys = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/tcp_fin_timeout"
    assert host.sh(keys, ns="a").split() == ["1", "17"]
    host.write("lab.toml", "[namespace.a]\n")
    host.until(lambda: host.sh(keys, ns="a").split() == ["0", "60"], "both are what they were")


def test_routes_that_stand_on_each_other_come_back_together(host: Host) -> None:
    host.sh(
        """
        ip link add eth0 up type veth peer name cable; ip link set cable up; ip addr add 10.40.0.1/32 dev eth0
        ip route add 172.31.1.1 dev eth0; ip route add default via 172.31.1.1 dev eth0
        """
    )
    before = host.routes()
    host.write(
        "lab.toml",
        """
        [[route]]
        to = "172.31.1.1/32"
        dev = "eth0"
        mtu = 1400

        [[route]]
        to = "default"
        via = "172.31.1.1"
        dev = "eth0"
        mtu = 1400
        """,
    )
    host.apply()
    assert host.routes() != before
    host.netd("down")
    assert host.routes() == before


def test_only_the_last_of_several_that_took_the_place_of_netds_route_comes_back(host: Host) -> None:
    host.sh("ip link add up0 up type veth peer name up1; ip link set up1 up; ip addr add 10.40.0.1/24 dev up0")
    host.sh("ip route add default via 10.40.0.7")
    host.write("lab.toml", '[[route]]\nto = "default"\nvia = "10.40.0.9"\n')
    host.apply()
    for gateway in ("10.40.0.8", "10.40.0.10"):
        host.sh(f"ip route replace default via {gateway}")
        host.apply()
        assert [each["gateway"] for each in host.routes("default")] == ["10.40.0.9"]
    host.netd("down")
    assert [each["gateway"] for each in host.routes("default")] == ["10.40.0.10"]


def test_a_namespace_does_not_inherit_what_was_displaced_in_the_one_before_it(host: Host) -> None:
    make = """
    ip netns add theirs; ip -n theirs link add d0 up type veth peer name d1; ip -n theirs link set d1 up
    ip -n theirs addr add 10.44.0.2/24 dev d0
    """
    host.sh(make + "ip -n theirs route add default via 10.44.0.1")
    host.write("lab.toml", '[namespace.theirs]\n[[namespace.theirs.route]]\nto = "default"\nvia = "10.44.0.9"\n')
    host.apply()
    host.sh("ip netns del theirs" + make)
    host.apply()
    host.remove("lab.toml")
    host.apply()
    assert host.routes("default", ns="theirs") == []


def test_an_address_of_another_prefix_length_stays(host: Host) -> None:
    host.sh("ip link add up0 up type veth peer name up1; ip addr add 10.77.0.1/32 dev up0")
    host.write("lab.toml", '[interface.up0]\naddresses = ["10.77.0.1/24"]\n')
    host.apply()
    host.remove("lab.toml")
    host.apply()
    assert host.addresses("up0") == {"10.77.0.1/32"}


def test_routes_of_others_outlast_a_new_address_of_their_link(host: Host) -> None:
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.71.0.1/24"]\n')
    host.apply()
    host.sh("ip route add 10.72.0.0/16 via 10.71.0.99; ip route add 10.73.0.0/16 dev br0")
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.71.0.1/23"]\n')
    host.apply()
    assert host.addresses("br0") == {"10.71.0.1/23"}
    assert host.routes("10.72.0.0/16") and host.routes("10.73.0.0/16")


@pytest.mark.parametrize("promote", ["0", "1"])
def test_addresses_of_others_outlast_those_of_netd_in_their_network(host: Host, promote: str) -> None:
    host.sh(f"sysctl -qw net.ipv4.conf.all.promote_secondaries={promote}")
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.71.0.1/24", "10.71.0.2/24"]\n')
    host.apply()
    host.sh("ip addr add 10.71.0.50/24 dev br0; ip addr add 10.71.0.51/24 dev br0")
    host.sh("ip route add 10.72.0.0/16 via 10.71.0.99; ip route add 10.73.0.0/16 dev br0 table 7")
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.71.0.3/24"]\n')
    host.apply()
    assert host.addresses("br0") == {"10.71.0.3/24", "10.71.0.50/24", "10.71.0.51/24"}
    assert host.routes("10.72.0.0/16") and host.json("ip", "-j", "route", "show", "table", "7")
    found = host.run("sysctl", "-n", "net.ipv4.conf.all.promote_secondaries", "net.ipv4.conf.br0.promote_secondaries")
    assert found.split() == [promote, "0"]


def test_an_adopted_bridge_keeps_the_addresses_and_routes_of_its_owner(host: Host) -> None:
    host.sh("ip link add br0 up type bridge")
    host.sh("ip route add 10.73.0.0/16 dev br0; ip route add 10.74.0.0/16 via 10.73.0.1")
    before = host.routes("10.73.0.0/16") + host.routes("10.74.0.0/16")
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.71.0.1/24"]\n')
    host.apply()
    host.remove("lab.toml")
    host.apply()
    assert host.routes("10.73.0.0/16") + host.routes("10.74.0.0/16") == before
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.71.0.1/24"]\n')
    host.apply()
    host.sh("ip addr add 10.71.0.50/24 dev br0")
    host.netd("down")
    assert host.addresses("br0") == {"10.71.0.50/24"}
    assert host.routes("10.73.0.0/16") + host.routes("10.74.0.0/16") == before


WIDE = """
[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1
net.ipv4.conf.all.send_redirects = 0

[interface.p0]
addresses = ["10.5.0.1/24"]

[bridge.br5]
"""


@pytest.mark.parametrize("way", ["down", "removed", "killed"])
def test_what_the_kernel_changes_with_a_parameter_is_put_back_too(host: Host, way: str) -> None:
    host.sh(f"{FOUND} sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.p0.forwarding=1")
    host.sh("sysctl -qw net.ipv6.conf.p1.forwarding=1 net.ipv4.conf.default.forwarding=1")

    def values() -> list[str]:
        lines = host.run("sysctl", "-a", "-r", r"^net\.ipv[46]\.(conf|ip_forward)").splitlines()
        return [line for line in lines if ".br5." not in line and "stable_secret" not in line]

    before = values()
    host.write("a.toml", WIDE)
    daemon = host.daemon()
    assert host.sysctl("net.ipv4.conf.p1.forwarding") == "1"
    if way == "removed":
        host.remove("a.toml")
        host.until(lambda: values() == before, "all parameters are as they were")
        return
    daemon.kill() if way == "killed" else daemon.stop()
    host.netd("down")
    assert values() == before


def test_a_parameter_that_somebody_set_meanwhile_stays(host: Host) -> None:
    host.sh("sysctl -qw net.ipv4.conf.all.accept_redirects=0")
    host.write("a.toml", "[sysctl]\nnet.ipv4.ip_forward = 1\n")
    host.apply()
    host.sh("sysctl -qw net.ipv4.conf.all.accept_redirects=1")
    host.netd("down")
    assert host.sysctl("net.ipv4.conf.all.accept_redirects") == "1"


@pytest.mark.parametrize("way", ["down", "removed", "killed"])
def test_an_ipv6_address_of_another_prefix_length_gives_way_and_comes_back(host: Host, way: str) -> None:
    host.sh("ip link add up0 up type veth peer name up1; ip link set up1 up")
    host.sh("ip addr add fd77::1/64 dev up0 nodad noprefixroute; ip addr add fd78::1/64 dev up0 nodad")

    def addresses() -> list[str]:
        # The kernel shows the newest first.
        return sorted(host.run("ip", "-o", "-6", "addr", "show", "dev", "up0", "scope", "global").splitlines())

    before = addresses()
    host.write("lab.toml", '[interface.up0]\naddresses = ["fd77::1/48"]\n')
    daemon = host.daemon()
    assert host.addresses("up0") == {"fd77::1/48", "fd78::1/64"}
    if way == "removed":
        host.remove("lab.toml")
        host.until(lambda: addresses() == before, "it is back")
        return
    daemon.kill() if way == "killed" else daemon.stop()
    host.netd("down")
    assert addresses() == before


def test_an_adopted_ipv6_address_keeps_what_nobody_declares(host: Host) -> None:
    host.sh("ip link add up0 up type veth peer name up1; ip link set up1 up")
    host.sh("ip addr add fd77::1/64 dev up0 noprefixroute mngtmpaddr home preferred_lft 0")

    def seen() -> str:
        return host.run("ip", "-6", "addr", "show", "dev", "up0", "scope", "global")

    host.until(lambda: " tentative" not in seen(), "nobody else has the address")
    before = seen()
    host.write("lab.toml", '[interface.up0]\naddresses = ["fd77::1/64"]\nnodad = true\n')
    host.apply()
    found = seen()
    assert " nodad" in found and "proto" not in found
    assert found.replace(" nodad", "") == before
    assert not host.routes("fd77::/64")
    host.netd("down")
    assert seen() == before


RENAMED = """
[interface.p0]
mtu = 1400
addresses = ["10.5.0.1/24", "fd05::1/64"]

[sysctl]
net.ipv4.conf.p0.rp_filter = 2

[[neighbor]]
address = "10.5.0.9"
mac = "02:00:00:00:00:99"
dev = "p0"
"""


def test_a_link_that_was_renamed_is_left_as_it_was_found(host: Host) -> None:
    host.sh(FOUND)
    found = port(host)
    host.write("a.toml", RENAMED)
    host.daemon()
    host.sh("ip link set p0 name lan0")
    host.until(lambda: host.state("interface/p0") == "pending", "the link is missed")
    assert host.state("address/p0/10.5.0.1/24") == "pending"
    host.remove("a.toml")
    host.until(lambda: "10.5.0.1/24" not in host.addresses("lan0"), "the address is gone")
    host.netd("reload")
    host.sh("ip link set lan0 name p0")
    assert port(host) == found


def test_what_others_put_on_a_tunnel_outlasts_its_being_recreated(host: Host) -> None:
    host.sh("ip link add up0 up type veth peer name up1; ip addr add 10.88.0.1/24 dev up0; ip link set up1 up")
    vxlan = """
        [vxlan.vx0]
        vni = {}
        dev = "up0"
        local = "10.88.0.1"
        remote = "10.88.0.2"
        addresses = ["10.89.0.1/24"]
    """
    host.write("lab.toml", vxlan.format(5))
    host.daemon()
    host.sh(
        """
        ip addr add 10.89.0.9/24 dev vx0
        ip addr add fd89::9/64 dev vx0 nodad
        ip route add 10.90.0.0/16 via 10.89.0.77 metric 7
        ip route add fd90::/64 via fd89::77
        """
    )
    routes = host.routes("10.90.0.0/16"), host.routes("fd90::/64")
    host.write("lab.toml", vxlan.format(6).replace("10.89.0.1/24", "10.89.0.2/24"))
    host.until(lambda: host.link("vx0")["linkinfo"]["info_data"]["id"] == 6, "the other network")
    host.converged()
    assert host.addresses("vx0") == {"10.89.0.2/24", "10.89.0.9/24", "fd89::9/64"}
    assert (host.routes("10.90.0.0/16"), host.routes("fd90::/64")) == routes
    host.remove("lab.toml")
    host.until(lambda: host.link("vx0") is None, "the tunnel is gone")
    host.converged()


def test_what_others_put_on_a_pair_outlasts_a_new_place_of_its_peer(host: Host) -> None:
    pair = """
        [namespace.a]
        [namespace.b]
        [veth.v0]
        addresses = ["10.91.0.1/24"]
        peer = {{ name = "v1", namespace = "{}" }}
    """
    host.write("lab.toml", pair.format("a"))
    host.apply()
    host.sh("ip addr add 10.92.0.9/24 dev v0; ip -n a addr add 10.91.0.9/24 dev v1")
    host.write("lab.toml", pair.format("b"))
    host.apply()
    assert host.addresses("v0") == {"10.91.0.1/24", "10.92.0.9/24"}
    assert host.link("v1", "a") is None and host.link("v1", "b")


SPANNING = """
[bridge.br0]
stp = true
forward_delay = 2
{0}
[veth.p0]
master = "br0"
peer = {{ name = "p1" }}
"""


@pytest.mark.thorough
def test_what_the_kernel_shows_during_a_change_of_topology_is_no_drift(host: Host) -> None:
    """Twice the forward delay in the place of the ageing time."""

    def shown() -> tuple[int, int]:
        options = host.json("ip", "-d", "-j", "link", "show", "br0")[0]["linkinfo"]["info_data"]
        return options["ageing_time"], options["topology_change"]

    host.write("lab.toml", SPANNING.format("ageing_time = 120"))
    host.daemon()
    host.until(lambda: shown() == (400, 1), "the topology changes")
    host.sh("ip link set br0 alias looked-at")
    host.netd("diff")
    assert {each["repairs"] for each in host.status()["objects"]} == {0} and shown() == (400, 1)
    host.write("lab.toml", SPANNING.format(""))
    host.netd("reload")
    host.write("lab.toml", SPANNING.format("").replace("stp = true\n", ""))
    host.netd("reload")
    host.until(lambda: shown() == (30000, 0), "it is the kernel's default again")
