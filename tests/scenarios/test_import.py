"""``netd import``: what stands in the kernel as a file, which changes nothing here and builds the same elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.host import Host

LAB = """\
[bridge.br0]
addresses = ["192.168.1.1/24", "fd01::1/64"]
nodad = true
forward = true

[namespace.web.veth.eth0]
addresses = ["192.168.1.2/24"]
gateway = "192.168.1.1"
mtu = 1400
peer = { name = "vweb", master = "br0", bridge_port = { isolated = true } }

[namespace.db.veth.eth0]
mac = "02:00:00:00:00:0a"
peer = { name = "link", namespace = "web", up = false }

[vxlan.vx0]
vni = 24
local = "10.230.4.1"
remote = ["10.230.4.2", "10.230.4.3"]
ttl = 8
master = "br0"

[[namespace.web.route]]
to = "10.2.0.0/24"
via = "192.168.1.9"
metric = 7

[[rule]]
priority = 1000
from = "10.1.0.0/24"
table = 100

[[neighbor]]
address = "192.168.1.7"
mac = "02:00:00:00:00:30"
dev = "br0"

[sysctl]
net.ipv4.ip_forward = 1
net.ipv4.conf.br0.rp_filter = 2

[[nat.masquerade]]
source = "192.168.1.0/24"
out = "eth0"

[[nat.dnat]]
port = 8083
to = "192.168.1.2:80"
"""
#: Networks that a person builds by ip(8), and words of what is imported of them.
BY_HAND = {
    "a router with two networks": (
        """
        ip netns add r; ip netns add a; ip netns add b
        for n in a b; do
            ip link add r$n netns r type veth peer name eth0 netns $n
            ip -n r link set r$n up; ip -n $n link set eth0 up; ip -n $n link set lo up
        done
        ip -n r link set lo up
        ip -n r addr add 10.1.0.1/24 dev ra; ip -n r addr add 10.2.0.1/24 dev rb
        ip -n a addr add 10.1.0.2/24 dev eth0; ip -n b addr add 10.2.0.2/24 dev eth0
        ip -n a route add default via 10.1.0.1; ip -n b route add default via 10.2.0.1
        ip netns exec r sysctl -qw net.ipv4.ip_forward=1
        """,
        ['gateway = "10.1.0.1"', "[namespace.r.sysctl]\nnet.ipv4.ip_forward = 1\n"],
    ),
    "a bridge with ports": (
        """
        ip link add br0 type bridge ageing_time 6000; ip link set br0 up; ip addr add 10.3.0.1/24 dev br0
        for n in a b; do
            ip netns add $n; ip -n $n link set lo up
            ip link add v$n up master br0 type veth peer name eth0 netns $n; ip -n $n link set eth0 up
        done
        bridge link set dev va isolated on; ip link set vb mtu 1400
        """,
        ["[bridge.br0]\nageing_time = 60\n", 'name = "va", master = "br0", bridge_port = { isolated = true }'],
    ),
    "a tunnel": (
        """
        ip link add up0 up type veth peer name up1; ip link set up1 up; ip addr add 10.9.0.1/24 dev up0
        ip link add vx0 up type vxlan id 7 local 10.9.0.1 dev up0 dstport 4789 nolearning
        bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.2
        bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.3
        """,
        ['dev = "up0"', 'remote = ["10.9.0.2", "10.9.0.3"]', "learning = false"],
    ),
    "policy routing": (
        """
        ip link add a0 up type veth peer name a1; ip link set a1 up; ip addr add 10.5.0.1/24 dev a0
        ip route add 10.6.0.0/16 via 10.5.0.2 table 100 metric 5
        ip route add 10.8.0.0/16 nexthop via 10.5.0.3 nexthop via 10.5.0.4 weight 3
        ip route add unreachable 10.7.0.0/16; ip route add default via 10.5.0.9 src 10.5.0.1
        ip rule add priority 900 fwmark 0x10/0xff iif a0 lookup 100
        ip neigh add 10.5.0.77 lladdr 02:00:00:00:00:77 dev a0 nud permanent
        """,
        ["[[rule]]\npriority = 900\n", 'fwmark = "0x10/0xff"', 'type = "unreachable"', "weight = 3", "table = 100"],
    ),
    "names that need quotes, and IPv6": (
        """
        ip netns add "a.b"; ip -n "a.b" link set lo up
        ip link add "v.1" up type veth peer name "x+y" netns "a.b"; ip -n "a.b" link set "x+y" up
        ip -n "a.b" addr add fd05::1/64 dev "x+y" nodad; ip addr add fd05::2/64 dev "v.1" nodad
        ip -n "a.b" -6 route add default via fd05::2; sysctl -qw "net/ipv4/conf/v.1/rp_filter=1"
        """,
        ['[namespace."a.b".veth."x+y"]', 'gateway = "fd05::2"', '"net/ipv4/conf/v.1/rp_filter" = 1'],
    ),
}


#: Who made a route or rule, as ip(8) says it.
MARKS = re.compile(r" proto (netd|static|boot|110)\b")


def replaced(host: Host, text: str) -> Any:
    """What ``netd diff`` says of a file instead of all others."""
    for path in host.file(".").glob("*.toml"):
        path.unlink()
    host.write("imported.toml", text)
    return host.netd("diff", "--json", check=None).json


def plain(host: Host) -> dict[str, Any]:
    """The links, addresses, routes and rules of each namespace, without numbers and chosen MAC addresses."""
    names = ["", *sorted(line.split()[0] for line in host.run("ip", "netns").splitlines())]
    found: dict[str, Any] = {}
    for ns in names:
        links = json.loads(host.run("ip", "-d", "-j", "link", ns=ns))
        found[ns] = {
            each["ifname"]: (each["mtu"], "UP" in each["flags"], each.get("master"))
            for each in links
        } | {
            "addresses": sorted(
                (each["ifname"], one["local"], one["prefixlen"])
                for each in json.loads(host.run("ip", "-j", "addr", ns=ns))
                for one in each["addr_info"]
                if one["scope"] != "link"
            ),
            "routes": sorted(
                MARKS.sub("", line)
                for family in ("-4", "-6")
                for line in host.run("ip", family, "route", "show", "table", "all", ns=ns).splitlines()
                if "fe80:" not in line and "ff00::/8" not in line
            ),
            "rules": MARKS.sub("", host.run("ip", "rule", ns=ns)),
        }  # fmt: skip
    return found


def test_what_netd_built_is_imported_without_a_change_and_is_built_again_elsewhere(
    host: Host, make_host: Callable[[str], Host]
) -> None:
    host.write("lab.toml", LAB)
    host.apply()
    text = host.netd("import").stdout
    assert "Not said above" not in text, text
    assert replaced(host, text)["changes"] == [], text
    assert host.netd("import").stdout == text
    other = make_host("other")
    other.write("lab.toml", text)
    other.apply()
    assert plain(other) == plain(host)
    assert other.run("nft", "list", "table", "inet", "netd") == host.run("nft", "list", "table", "inet", "netd")
    assert other.run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.br0.rp_filter").split()[2::3] == ["1", "2"]


@pytest.mark.parametrize("name", BY_HAND)
def test_what_somebody_built_by_ip_is_imported_without_a_change(
    host: Host, make_host: Callable[[str], Host], name: str
) -> None:
    script, words = BY_HAND[name]
    host.sh(script)
    text = host.netd("import").stdout
    for each in words:
        assert each in text, text
    assert replaced(host, text)["changes"] == [], text
    host.netd("check", check=0)
    other = make_host("other")
    other.write("lab.toml", text)
    other.apply()
    assert plain(other) == plain(host), text


def test_docker_s_things_are_left_out_unless_all_are_asked_for(host: Host) -> None:
    host.sh("ip link add docker0 up type bridge; ip addr add 172.17.0.1/16 dev docker0; ip netns add box")
    host.sh("ip link add veth1234567 up master docker0 type veth peer name eth0 netns box")
    host.start("sleep", "1000", ns="box")
    host.until(lambda: host.run("ip", "netns", "pids", "box").strip(), "a process is in the box")
    host.sh("ip netns del box; ip route add 10.77.0.0/16 via 172.17.0.2; ip link add br0 type bridge")
    text = host.netd("import").stdout
    tables = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in tables if line] == ["[bridge.br0]", "up = false"]
    assert "#   docker0: it belongs to Docker\n" in text and "#   veth1234567: it belongs to Docker\n" in text
    assert "#   route to 10.77.0.0/16: it leads to a link of Docker\n" in text
    everything = host.netd("import", "--all").stdout
    assert '[bridge.docker0]\naddresses = ["172.17.0.1/16"]\n' in everything
    assert "#   veth1234567 (veth): its other end is in a namespace without a name\n" in everything


def test_what_cannot_be_said_is_a_comment_with_its_reason(host: Host) -> None:
    host.sh("""
        ip netns add a
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
        ip addr add 10.1.0.1 peer 10.1.0.2 dev v0; ip addr add 10.2.0.1/24 dev v0 valid_lft 600 preferred_lft 600
        ip neigh add proxy 10.2.0.9 dev v0; ip rule add priority 50 iif v0 tos 0x10 lookup 100
    """)
    text = host.netd("import").stdout
    for reason in (
        "v0: address 10.1.0.1/32: it has a peer (10.1.0.2): write a route to it instead",
        "v0: address 10.2.0.1/24: it has a lifetime: its source (DHCP, a router) gives it again",
        "rule 50: it asks for, or does, what [[rule]] cannot say",
    ):
        assert f"#   {reason}\n" in text, text
    assert 'address = "10.2.0.9"\ndev = "v0"\nproxy = true\n' in text
    assert "[namespace.a]\n" in text and "lo is down: in a namespace of netd it is up" in text


def test_namespaces_choose_what_is_imported(host: Host) -> None:
    host.sh("ip netns add a; ip link add br0 type bridge; ip -n a link add br1 type bridge")
    assert "br0" not in host.netd("import", "a").stdout
    assert "[namespace" not in host.netd("import", "host").stdout
    assert host.netd("import", "aa", check=1).stderr == "netd: there is no namespace 'aa': did you mean 'a'?\n"
