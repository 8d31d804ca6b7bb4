"""What ``netd check`` warns of before it costs the operator the machine."""

from __future__ import annotations

import pytest

from tests.support.host import Host

CASES = {
    "a gateway beyond the only network": (
        '[interface.eth0]\n[namespace.a.veth.eth0]\naddresses = ["192.0.2.9/32"]\ngateway = "10.255.0.1"\n'
        'peer = { name = "p" }\n',
        ["10.255.0.1", "onlink"],
    ),
    "the same address on two namespaces of one bridge": (
        "[bridge.br0]\n"
        + "".join(
            f'[namespace.{name}.veth.eth0]\naddresses = ["10.0.0.1/24"]\n'
            f'peer = {{ name = "p-{name}", master = "br0" }}\n'
            for name in "ab"
        ),
        ["10.0.0.1", "same segment"],
    ),
    "a tunnel over IPv6 without its link": (
        '[bridge.under]\naddresses = ["fd00::1/64"]\n[vxlan.vx0]\nvni = 7\nlocal = "fd00::1"\nremote = "fd00::2"\n',
        ["1500", 'dev = "under"', "auto"],
    ),
    "the machine's own port on a bridge": (
        '[bridge.br0]\n[interface.eth0]\nmaster = "br0"\naddresses = ["10.0.0.1/24"]\n',
        ["eth0", "br0", "no longer reachable"],
    ),
    "one MAC on both ends": (
        '[veth.a]\nmac = "02:00:00:00:00:01"\npeer = { name = "b", mac = "02:00:00:00:00:01" }\n',
        ["both ends", "02:00:00:00:00:01"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_said_with_what_to_write(host: Host, case: str) -> None:
    text, words = CASES[case]
    host.write("lab.toml", text)
    told = host.netd("check").text
    assert "warning" in told
    for word in words:
        assert word in told, told


def test_what_has_the_default_route_is_not_made_a_port_unsaid(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    a.run("ip", "route", "add", "default", "via", "10.230.4.2", "dev", "eth0")
    a.write("lab.toml", '[bridge.br0]\n[interface.eth0]\nmaster = "br0"\n')
    assert "default route" in a.netd("check").text


def test_a_second_default_route_of_the_same_metric_is_said(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    a.run("ip", "route", "add", "default", "via", "10.230.4.2", "dev", "eth0", "proto", "dhcp")
    a.write("lab.toml", '[interface.eth0]\ngateway = "10.230.4.9"\n')
    assert "10.230.4.2" in a.netd("check").text
    a.write("lab.toml", '[interface.eth0]\ngateway = "10.230.4.9"\ngateway_metric = 50\n')
    assert "10.230.4.2" not in a.netd("check").text


@pytest.mark.parametrize("table", ["[bridge.lo]", '[veth.lo]\npeer = { name = "x" }', "[vxlan.lo]\nvni = 1"])
def test_the_loopback_is_no_ones_to_make(host: Host, table: str) -> None:
    host.write("lab.toml", table + "\n")
    assert "interface.lo" in host.netd("check", check=1).text


def test_what_is_right_is_not_warned_of(host: Host) -> None:
    host.write(
        "lab.toml",
        '[bridge.br0]\naddresses = ["fd00::1/64", "10.0.0.1/24"]\n[veth.a]\nmac = "02:00:00:00:00:01"\nmaster = "br0"\n'
        'peer = { name = "b", mac = "02:00:00:00:00:02", addresses = ["10.0.0.2/24"] }\n'
        '[vxlan.vx0]\nvni = 7\ndev = "br0"\nlocal = "fd00::1"\nremote = "fd00::2"\n',
    )
    assert "warning" not in host.netd("check").text


def test_a_default_route_of_netds_own_is_no_second_one_after_an_edit(host: Host) -> None:
    host.sh("ip link add eth0 type veth peer name uplink; ip link set uplink up; ip link set eth0 up")
    lab = '[interface.eth0]\naddresses = ["10.0.0.1/24"]\ngateway = "10.0.0.{}"\n'
    host.write("lab.toml", lab.format(2))
    host.apply()
    host.write("lab.toml", lab.format(3))
    assert "warning" not in host.netd("check").text
    host.sh("ip route del default; ip route add default via 10.0.0.9")
    assert "has a default route of metric 0 already, by 10.0.0.9" in host.netd("check").text
