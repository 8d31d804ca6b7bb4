"""Links that netd does not make: kept as written, moved in, moved back, given back as they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.host import Host


def test_a_foreign_link_is_kept_as_written_and_given_back_as_it_was(host: Host) -> None:
    host.sh(
        """
        ip link add port0 mtu 1400 type veth peer name other0
        ip link add brx type bridge
        ip link set port0 master brx
        sysctl -qw net.ipv4.conf.port0.rp_filter=2
        """
    )
    index = host.link("port0")["ifindex"]
    mac = host.link("port0")["address"]
    host.write(
        "lab.toml",
        """
        [bridge.br0]

        [interface.port0]
        mtu = 1300
        up = true
        mac = "02:00:00:00:00:01"
        master = "br0"
        addresses = ["10.1.0.1/24"]

        [sysctl]
        net.ipv4.conf.port0.rp_filter = 1
        """,
    )
    host.apply()
    link = host.link("port0")
    assert (link["mtu"], link["master"], link["address"]) == (1300, "br0", "02:00:00:00:00:01")
    assert "UP" in link["flags"]
    assert host.addresses("port0") == {"10.1.0.1/24"}
    assert host.sysctl("net.ipv4.conf.port0.rp_filter") == "1"
    host.remove("lab.toml")
    host.apply()
    link = host.link("port0")
    assert (link["mtu"], link["master"], link["address"], link["ifindex"]) == (1400, "brx", mac, index)
    assert "UP" not in link["flags"]
    assert host.addresses("port0") == set()
    assert host.sysctl("net.ipv4.conf.port0.rp_filter") == "2"
    assert host.link("br0") is None


def test_what_someone_else_changed_meanwhile_is_not_put_back(host: Host) -> None:
    host.sh("ip link add port0 mtu 1400 type veth peer name other0; sysctl -qw net.ipv4.ip_default_ttl=70")
    host.write("lab.toml", "[interface.port0]\nmtu = 1300\n[sysctl]\nnet.ipv4.ip_default_ttl = 80\n")
    host.apply()
    host.sh("ip link set port0 mtu 1200; sysctl -qw net.ipv4.ip_default_ttl=90")
    host.remove("lab.toml")
    host.apply()
    assert host.link("port0")["mtu"] == 1200
    assert host.sysctl("net.ipv4.ip_default_ttl") == "90"


def test_a_key_that_goes_puts_its_own_value_back_alone(host: Host) -> None:
    host.sh("ip link add port0 mtu 1400 txqueuelen 77 type veth peer name other0")
    host.write("lab.toml", '[interface.port0]\nmtu = 1300\naddresses = ["10.1.0.1/24"]\n')
    host.apply()
    host.write("lab.toml", '[interface.port0]\naddresses = ["10.1.0.1/24"]\n')
    host.apply()
    assert host.link("port0")["mtu"] == 1400
    assert host.addresses("port0") == {"10.1.0.1/24"}


def test_a_link_that_is_not_there_is_waited_for(host: Host) -> None:
    host.write("lab.toml", '[interface.port0]\nup = true\naddresses = ["10.1.0.1/24", "fd01::1/64"]\nnodad = true\n')
    host.daemon()
    assert host.state("interface/port0") == "pending"
    host.run("ip", "link", "add", "port0", "type", "veth", "peer", "name", "other0")
    host.until(lambda: host.addresses("port0") == {"10.1.0.1/24", "fd01::1/64"}, "the addresses stand on it")
    host.until(lambda: host.state("interface/port0") == "ok", "the interface is ok")


def test_a_port_of_the_host_moves_into_a_namespace_and_back(make_host: Callable[[str], Host]) -> None:
    host, other = make_host("a"), make_host("b")
    host.cable(other)
    host.address("eth0", "10.9.0.1/24")
    other.address("eth0", "10.1.0.2/24", "fd01::2/64")
    host.write(
        "lab.toml",
        """
        [namespace.a.interface.eth0]
        from_host = true
        up = true
        addresses = ["10.1.0.1/24", "fd01::1/64"]
        nodad = true
        """,
    )
    host.apply()
    assert host.link("eth0") is None
    host.ping("10.1.0.2", "fd01::2", ns="a")
    host.remove("lab.toml")
    host.apply()
    assert host.link("eth0") is not None
    assert host.addresses("eth0") == set(), "it comes back without addresses"
    assert "a" not in host.namespaces()


LENT = """
[namespace.a.interface.p0]
from_host = true
mtu = 1400
addresses = ["10.1.0.1/24"]
"""


@pytest.mark.parametrize("serving", [False, True], ids=["apply", "daemon"])
@pytest.mark.parametrize("keeps", [False, True], ids=["table", "key"])
def test_a_lent_port_comes_back_to_its_bridge(host: Host, serving: bool, keeps: bool) -> None:
    """As it was found there: up, a port, with its settings as one. Only its addresses are gone."""
    host.sh(
        """
        ip link add br9 up type bridge; ip link add p0 up type veth peer name p0x
        ip link set p0 master br9 up; bridge link set dev p0 isolated on hairpin on cost 9
        """
    )
    looks = "ip -br link show p0 | cut -d' ' -f1,3-; bridge -d link show dev p0 | cut -d: -f2-"
    before = host.sh(looks)
    host.write("lab.toml", LENT)
    host.daemon() if serving else host.apply()
    assert host.link("p0") is None and host.addresses("p0", ns="a") == {"10.1.0.1/24"}
    host.write("lab.toml", LENT.replace("from_host = true\n", "") if keeps else "")
    host.netd("reload" if serving else "apply")
    host.until(lambda: host.link("p0"), "it is on the host again")
    host.until(lambda: host.sh(looks) == before, "it is as it was")
    assert host.link("p0")["mtu"] == 1500


def test_a_lent_port_comes_back_although_its_bridge_is_gone(host: Host) -> None:
    host.sh("ip link add br9 up type bridge; ip link add p0 up type veth peer name p0x; ip link set p0 master br9 up")
    host.write("lab.toml", LENT)
    host.apply()
    host.sh("ip link del br9")
    host.netd("down")
    assert "UP" in host.link("p0")["flags"] and "master" not in host.link("p0")


def test_loopback_takes_addresses_and_keeps_its_own(host: Host) -> None:
    host.write("lab.toml", '[interface.lo]\naddresses = ["10.255.0.1/32", "fd00::1/128"]\n')
    host.apply()
    host.ping("10.255.0.1", "fd00::1", "127.0.0.1", "::1")
    host.netd("down")
    assert not host.pings("10.255.0.1")
    host.ping("127.0.0.1", "::1")


def test_a_link_that_exists_is_adopted_and_left_standing(host: Host) -> None:
    host.sh("ip link add br0 type bridge; ip link set br0 up; ip netns add a")
    index = host.link("br0")["ifindex"]
    host.write("lab.toml", '[bridge.br0]\nforward_delay = 4\naddresses = ["10.1.0.1/24"]\n[namespace.a]\n')
    host.apply()
    assert host.link("br0")["ifindex"] == index
    assert host.link("br0")["linkinfo"]["info_data"]["forward_delay"] == 400
    host.netd("down")
    assert host.link("br0")["ifindex"] == index
    assert host.addresses("br0") == set()
    assert host.namespaces() == {"a"}


def test_down_adopted_takes_what_was_adopted_too(host: Host) -> None:
    host.sh("ip link add br0 type bridge; ip netns add a")
    host.write("lab.toml", "[bridge.br0]\n[namespace.a]\n")
    host.apply()
    host.netd("down", "--adopted")
    assert host.link("br0") is None
    assert host.namespaces() == set()


def test_a_link_of_another_kind_is_a_conflict_and_not_touched(host: Host) -> None:
    host.run("ip", "link", "add", "br0", "type", "veth", "peer", "name", "other0")
    before = host.link("br0")
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.1.0.1/24"]\n[bridge.br1]\n')
    report = host.netd("apply", check=1)
    assert "br0" in report.text
    assert host.link("br0") == before
    assert host.link("br1") is not None, "the rest is built all the same"


def test_a_kernel_without_a_feature_fails_that_object_alone(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\nvlan_filtering = true\n[bridge.br1]\n")
    if host.result("ip", "link", "add", "probe", "type", "bridge", "vlan_filtering", "1").returncode == 0:
        host.run("ip", "link", "del", "probe")
        host.apply()
        assert host.link("br0")["linkinfo"]["info_data"]["vlan_filtering"] == 1
        return
    host.run("ip", "link", "del", "probe", check=None)
    host.daemon()
    assert host.state("bridge/br0") == "failed"
    assert host.state("bridge/br1") == "ok"
    assert host.status()["state"] == "degraded"
    reason = next(each["reason"] for each in host.status()["objects"] if each["object"] == "bridge/br0")
    assert reason
