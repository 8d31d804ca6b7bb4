"""Entries as iproute2 knows them beyond the usual: IPv4 by a gateway of IPv6, proxies, a port's group_fwd_mask."""

from __future__ import annotations

import pytest

from tests.support.host import Host

LAB = """
[namespace.a.veth.eth0]
addresses = ["fd00::1/64"]
nodad = true
peer = { name = "to-a", addresses = ["fd00::2/64", "10.8.0.1/32"], nodad = true }

[namespace.a.interface.lo]
addresses = ["10.9.0.1/32"]
"""


@pytest.mark.parametrize(
    "hop", ['via = "fd00::1"', 'via = "fd00::1"\ndev = "to-a"', 'nexthops = [{ via = "fd00::1" }]']
)
def test_a_route_of_ipv4_has_a_gateway_of_ipv6(host: Host, hop: str) -> None:
    back = '[[namespace.a.route]]\nto = "0.0.0.0/0"\nvia = "fd00::2"\ndev = "eth0"\n'
    host.write("lab.toml", f'{LAB}\n[[route]]\nto = "10.9.0.0/24"\n{hop}\n{back}')
    host.daemon()
    host.ping("10.9.0.1")
    assert "via inet6 fd00::1" in host.run("ip", "route", "show", "10.9.0.0/24")
    host.run("ip", "route", "del", "10.9.0.0/24")
    host.ping("10.9.0.1")
    assert "in sync" in host.netd("diff").text


def test_the_default_route_of_ipv4_by_ipv6_is_chosen_by_its_source(host: Host) -> None:
    route = '[[route]]\nto = "default"\nvia = "fd00::1"\nsrc = "10.8.0.1"\n'
    host.write(
        "lab.toml", LAB + route + '[[route]]\nto = "10.9.0.0/24"\nvia = "10.9.0.1"\ndev = "to-a"\nonlink = true\n'
    )
    host.apply()
    assert "default via inet6 fd00::1" in host.run("ip", "-4", "route", "show", "default")


def test_a_route_of_ipv6_has_no_gateway_of_ipv4(host: Host) -> None:
    host.write("lab.toml", '[[route]]\nto = "fd09::/64"\nvia = "10.0.0.1"\n')
    assert "via: '10.0.0.1' is IPv4, the route is IPv6" in host.netd("check", check=1).text


PROXIES = """
[bridge.br0]
addresses = ["10.7.0.1/24"]

[[neighbor]]
address = "10.7.0.99"
dev = "br0"
proxy = true

[[neighbor]]
address = "fd07::99"
dev = "br0"
proxy = true
"""


def proxies(host: Host) -> list[str]:
    both = host.run("ip", "-4", "neigh", "show", "proxy") + host.run("ip", "-6", "neigh", "show", "proxy")
    return sorted(line.split()[0] for line in both.splitlines())


def test_a_link_answers_for_other_addresses(host: Host) -> None:
    host.write("lab.toml", PROXIES)
    # Once a second, instead of once a minute: the kernel reports no change of them.
    host.daemon(module="tests.support.frequent_poll")
    assert proxies(host) == ["10.7.0.99", "fd07::99"]
    for harm in ("ip neigh del proxy 10.7.0.99 dev br0", "ip link del br0"):
        host.sh(harm)
        host.until(lambda: proxies(host) == ["10.7.0.99", "fd07::99"], "they are back")
    host.run("ip", "neigh", "add", "proxy", "10.7.0.100", "dev", "br0")
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.7.0.1/24"]\n')
    host.netd("reload")
    assert proxies(host) == ["10.7.0.100"]


@pytest.mark.parametrize("more, said", [("", "mac: missing"), ('proxy = true\nmac = "02:00:00:00:00:01"', "has none")])
def test_a_neighbor_has_a_mac_or_is_a_proxy(host: Host, more: str, said: str) -> None:
    host.write("lab.toml", f'[[neighbor]]\naddress = "10.7.0.9"\ndev = "lo0"\n{more}\n')
    assert said in host.netd("check", check=1).text


def test_a_port_forwards_the_group_addresses_that_its_mask_says(host: Host) -> None:
    # 0x4000: LLDP; bit 2: LACP, which only a port can let through.
    port = 'peer = { name = "q0" }\nmaster = "br0"\nbridge_port = { group_fwd_mask = 0x4004 }\n'
    host.write("lab.toml", f"[bridge.br0]\n[veth.p0]\n{port}")
    host.daemon()

    def mask() -> str:
        return str(host.link("p0")["linkinfo"]["info_slave_data"]["group_fwd_mask"])

    assert mask() == "0x4004"
    host.run("ip", "link", "set", "p0", "type", "bridge_slave", "group_fwd_mask", "0")
    host.until(lambda: mask() == "0x4004", "the mask is back")
    host.write("lab.toml", "[bridge.br0]\n[veth.p0]\n" + port.replace("0x4004", "2"))
    assert "pause frames are never forwarded" in host.netd("check", check=1).text
