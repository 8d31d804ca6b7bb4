"""Namespaces and bridges on one host, with traffic."""

from __future__ import annotations

from tests.support.host import Host

PAIR = """
[namespace.b]

[namespace.a.veth.eth0]
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true
peer = { name = "eth0", namespace = "b", addresses = ["10.1.0.2/24", "fd01::2/64"], nodad = true }
"""

BRIDGE = """
[bridge.br0]

[namespace.a.veth.eth0]
addresses = ["192.168.1.1/24", "fd01::1/64"]
nodad = true
peer = { name = "port-a", master = "br0" }

[namespace.b.veth.eth0]
addresses = ["192.168.1.2/24", "fd01::2/64"]
nodad = true
peer = { name = "port-b", master = "br0" }

[namespace.c.veth.eth0]
addresses = ["192.168.1.3/24", "fd01::3/64"]
nodad = true
peer = { name = "port-c", master = "br0" }
"""

GATEWAY = """
[bridge.br0]
addresses = ["192.168.1.254/24", "fd01::254/64"]
nodad = true

[bridge.br1]
addresses = ["192.168.2.254/24", "fd02::254/64"]
nodad = true

[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1

[namespace.a.veth.eth0]
addresses = ["192.168.1.1/24", "fd01::1/64"]
gateway = ["192.168.1.254", "fd01::254"]
nodad = true
peer = { name = "port-a", master = "br0" }

[namespace.b.veth.eth0]
addresses = ["192.168.2.1/24", "fd02::1/64"]
gateway = ["192.168.2.254", "fd02::254"]
nodad = true
peer = { name = "port-b", master = "br1" }
"""


def test_two_namespaces_reach_each_other_over_a_veth(host: Host) -> None:
    host.write("lab.toml", PAIR)
    host.apply()
    assert host.namespaces() == {"a", "b"}
    assert host.addresses("eth0", "a") == {"10.1.0.1/24", "fd01::1/64"}
    assert host.addresses("eth0", "b") == {"10.1.0.2/24", "fd01::2/64"}
    assert host.names() == set(), "the pair has both its ends in namespaces"
    host.ping("10.1.0.2", "fd01::2", ns="a")
    host.ping("10.1.0.1", "fd01::1", ns="b")


def test_loopback_is_up_in_a_namespace(host: Host) -> None:
    host.write("lab.toml", "[namespace.a]\n")
    host.apply()
    host.ping("127.0.0.1", "::1", ns="a")


def test_addresses_work_after_duplicate_address_detection_too(host: Host) -> None:
    host.write("lab.toml", PAIR.replace("nodad = true", "").replace(",  }", " }"))
    host.apply()
    host.ping("10.1.0.2", "fd01::2", ns="a")


def test_three_namespaces_reach_each_other_through_a_bridge(host: Host) -> None:
    host.write("lab.toml", BRIDGE)
    host.apply()
    ports = {port["ifname"] for port in host.json("bridge", "-j", "link") if port.get("master") == "br0"}
    assert ports == {"port-a", "port-b", "port-c"}
    for here in "abc":
        for number in (1, 2, 3):
            host.ping(f"192.168.1.{number}", f"fd01::{number}", ns=here)


def test_a_namespace_reaches_the_host_and_another_bridge_through_its_gateway(host: Host) -> None:
    host.write("lab.toml", GATEWAY)
    host.apply()
    default = host.routes("default", ns="a")
    assert [(each["gateway"], each["dev"]) for each in default] == [("192.168.1.254", "eth0"), ("fd01::254", "eth0")]
    host.ping("192.168.1.254", "fd01::254", ns="a")
    host.ping("192.168.2.1", "fd02::1", ns="a")
    host.ping("192.168.1.1", "fd01::1")


def test_a_bridge_may_stand_inside_a_namespace(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [namespace.a]

        [namespace.switch.bridge.br0]

        [namespace.switch.veth.port-a]
        master = "br0"
        peer = { name = "eth0", namespace = "a", addresses = ["10.1.0.1/24", "fd01::1/64"], nodad = true }

        [namespace.b.veth.eth0]
        addresses = ["10.1.0.2/24", "fd01::2/64"]
        nodad = true
        peer = { name = "port-b", namespace = "switch", master = "br0" }
        """,
    )
    host.apply()
    assert host.names() == set()
    assert host.link("port-a", "switch")["master"] == host.link("port-b", "switch")["master"] == "br0"
    host.ping("10.1.0.2", "fd01::2", ns="a")


def test_a_lab_of_ipv6_alone(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [bridge.br0]
        addresses = ["fd01::254/64"]

        [sysctl]
        net.ipv6.conf.all.forwarding = 1

        [namespace.a.veth.eth0]
        addresses = ["fd01::1/64"]
        gateway = "fd01::254"
        peer = { name = "port-a", master = "br0" }

        [namespace.b.veth.eth0]
        addresses = ["fd02::1/64"]
        gateway = "fe80::1"
        peer = { name = "to-b", addresses = ["fe80::1/64"] }

        [[route]]
        to = "fd02::/64"
        dev = "to-b"

        [[nat.dnat]]
        port = 8080
        to = "[fd02::1]:80"
        """,
    )
    host.apply()
    host.ping("fd02::1", "fd01::254", ns="a")
    host.ping("fd01::1", ns="b")
    host.serve("web", 80, ns="b")
    assert host.ask("fd01::254", 8080, ns="a") == ["web", "fd01::1", "80"]
    assert not [each for each in host.nft() if each.get("rule", {}).get("family") == "ip"]


def test_ipv6_turned_off_in_a_namespace_leaves_ipv4(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [namespace.a]
        ipv6 = false

        [namespace.a.veth.eth0]
        addresses = ["10.1.0.1/24"]
        peer = { name = "to-a", addresses = ["10.1.0.2/24"] }
        """,
    )
    host.apply()
    assert host.sysctl("net.ipv6.conf.all.disable_ipv6", "a") == "1"
    assert host.run("ip", "-6", "addr", "show", "dev", "eth0", ns="a") == ""
    host.ping("10.1.0.2", ns="a")


def test_routes_of_every_kind_carry_or_refuse(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [sysctl]
        net.ipv4.ip_forward = 1
        net.ipv6.conf.all.forwarding = 1

        [namespace.a.veth.eth0]
        addresses = ["10.1.0.1/24", "10.1.0.7/32", "fd01::1/64"]
        nodad = true
        peer = { name = "to-a", addresses = ["10.1.0.254/24", "fd01::254/64"], nodad = true }

        [namespace.b.veth.eth0]
        addresses = ["10.2.0.1/24", "fd02::1/64"]
        gateway = ["10.2.0.254", "fd02::254"]
        nodad = true
        peer = { name = "to-b", addresses = ["10.2.0.254/24", "fd02::254/64"], nodad = true }

        [[namespace.a.route]]
        to = "10.2.0.0/24"
        via = "10.1.0.254"
        src = "10.1.0.1"
        metric = 50

        [[namespace.a.route]]
        to = "fd02::/64"
        via = "fd01::254"
        mtu = 1300

        [[namespace.a.route]]
        to = "10.3.0.0/24"
        type = "unreachable"

        [[namespace.a.route]]
        to = "fd03::/64"
        type = "prohibit"

        [[namespace.a.route]]
        to = "10.4.0.0/24"
        type = "blackhole"

        [[namespace.a.route]]
        to = "10.5.0.0/24"
        nexthops = [{ via = "10.1.0.254", weight = 2 }, { via = "10.1.0.253" }]

        [[namespace.a.route]]
        to = "default"
        via = "172.16.0.1"
        dev = "eth0"
        onlink = true
        table = 100

        [[namespace.a.rule]]
        priority = 1000
        from = "10.1.0.7"
        table = 100

        [[namespace.a.rule]]
        priority = 1001
        to = "fd09::/64"
        fwmark = 5
        table = 101

        [[namespace.a.neighbor]]
        address = "172.16.0.1"
        mac = "02:00:00:00:00:01"
        dev = "eth0"
        """,
    )
    host.apply()
    host.ping("10.2.0.1", "fd02::1", ns="a")
    (route,) = host.routes("10.2.0.0/24", ns="a")
    assert (route["gateway"], route["prefsrc"], route["metric"]) == ("10.1.0.254", "10.1.0.1", 50)
    (route,) = host.routes("fd02::/64", ns="a")
    assert route["metrics"] == [{"mtu": 1300}] and route["metric"] == 1024
    types = {each["dst"]: each["type"] for each in host.routes("table", "main", ns="a") if "type" in each}
    assert types == {"10.3.0.0/24": "unreachable", "fd03::/64": "prohibit", "10.4.0.0/24": "blackhole"}
    (route,) = host.routes("10.5.0.0/24", ns="a")
    assert {(hop["gateway"], hop["weight"]) for hop in route["nexthops"]} == {("10.1.0.254", 2), ("10.1.0.253", 1)}
    (route,) = host.routes("table", "100", ns="a")
    assert (route["gateway"], "onlink" in route["flags"]) == ("172.16.0.1", True)
    (route,) = host.json("ip", "-j", "-n", "a", "route", "get", "8.8.8.8", "from", "10.1.0.7")
    assert route["gateway"] == "172.16.0.1"
    (rule,) = (each for each in host.json("ip", "-j", "-n", "a", "-6", "rule") if each["priority"] == 1001)
    assert (rule["dst"], rule["dstlen"], rule["fwmark"], rule["table"]) == ("fd09::", 64, "0x5", "101")
    (neighbor,) = host.json("ip", "-j", "-n", "a", "neigh", "show", "172.16.0.1")
    assert (neighbor["lladdr"], neighbor["state"]) == ("02:00:00:00:00:01", ["PERMANENT"])


def test_a_single_next_hop_has_no_weight(host: Host) -> None:
    route = '[[route]]\nto = "10.9.0.0/16"\nnexthops = [{ via = "10.1.0.9", weight = 3 }]\n'
    host.write("a.toml", f'[bridge.br0]\naddresses = ["10.1.0.1/24"]\n{route}')
    host.apply()
    assert host.netd("diff", "--json").json["changes"] == []
