"""The order of the addresses in the file is their order in the kernel, so a repair changes no source address."""

from __future__ import annotations

import pytest

from tests.support.host import Host

LAB = """
[namespace.far.veth.eth0]
addresses = ["10.0.0.9/24", "fd00::9/64"]
nodad = true
peer = {{ name = "to-far", addresses = [{}], nodad = true }}
"""
FIRST, SECOND, THIRD = "10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24"
SIX = ("fd00::1/64", "fd00::2/64")


def lab(*addresses: str) -> str:
    return LAB.format(", ".join(f'"{each}"' for each in addresses))


def order(host: Host, family: str = "inet") -> list[str]:
    (link,) = host.json("ip", "-j", "addr", "show", "dev", "to-far")
    found = [each for each in link["addr_info"] if each["family"] == family and each["scope"] == "global"]
    return [f"{each['local']}/{each['prefixlen']}" for each in found]


def source(host: Host, to: str) -> str:
    return str(host.json("ip", "-j", "route", "get", to)[0]["prefsrc"])


@pytest.mark.parametrize("promote", [0, 1])
@pytest.mark.parametrize("gone", [(FIRST,), (SECOND,), (FIRST, SECOND), (THIRD, FIRST)])
def test_deleted_addresses_come_back_in_their_order(host: Host, promote: int, gone: tuple[str, ...]) -> None:
    host.write("lab.toml", lab(FIRST, SECOND, THIRD, *SIX))
    daemon = host.daemon()
    host.sh(f"sysctl -qw net.ipv4.conf.to-far.promote_secondaries={promote}")
    assert order(host) == [FIRST, SECOND, THIRD]
    for _ in range(2):
        with daemon.asleep():
            for each in gone:
                host.run("ip", "addr", "del", each, "dev", "to-far", check=None)
        host.until(lambda: order(host) == [FIRST, SECOND, THIRD], "they are in order")
    assert source(host, "10.0.0.9") == "10.0.0.1"
    host.ping("10.0.0.9")
    host.until(lambda: host.status()["state"] == "converged", "nobody fights")


def test_a_repair_does_not_change_the_source_of_ipv6(host: Host) -> None:
    host.write("lab.toml", lab(*SIX))
    host.daemon()
    before, found = source(host, "fd00::9"), order(host, "inet6")
    for each in SIX:
        host.run("ip", "addr", "del", each, "dev", "to-far")
        host.until(lambda: order(host, "inet6") == found, "they are in order")
        assert source(host, "fd00::9") == before


@pytest.mark.parametrize("by", ["apply", "daemon"])
def test_another_order_in_the_file_is_another_order_in_the_kernel(host: Host, by: str) -> None:
    host.write("lab.toml", lab(FIRST, SECOND, THIRD))
    if by == "daemon":
        host.daemon()
    else:
        host.apply()
    host.write("lab.toml", lab(THIRD, FIRST, SECOND))
    if by == "apply":
        host.apply()
    host.until(lambda: order(host) == [THIRD, FIRST, SECOND], "it is the other order")
    host.until(lambda: source(host, "10.0.0.9") == "10.0.0.3", "the source follows")


def test_an_address_that_comes_before_the_others_is_the_source(host: Host) -> None:
    host.write("lab.toml", lab(SECOND))
    host.daemon()
    host.write("lab.toml", lab(FIRST, SECOND))
    host.until(lambda: order(host) == [FIRST, SECOND], "it is in order")
    assert source(host, "10.0.0.9") == "10.0.0.1"
