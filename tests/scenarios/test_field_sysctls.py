"""Parameters that can be written in more ways than one; and a router's advertisements on a machine that forwards."""

from __future__ import annotations

import sys

import pytest

from tests.support.host import Host

#: Advertises itself as default router, and the prefix fd99::/64, once: python -c ... LINK
ADVERTISE = """
import socket, struct, sys
index = socket.if_nametoindex(sys.argv[1])
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + socket.inet_pton(socket.AF_INET6, "fd99::")
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, ("ff02::1", 0, 0, index))
"""


@pytest.mark.parametrize(
    ("key", "written", "shown"),
    [
        ("net.ipv4.ip_local_reserved_ports", '"8080,9148,9149,9150"', "8080,9148-9150"),
        ("net.ipv4.ip_local_reserved_ports", '"9150,9148-9149,8080"', "8080,9148-9150"),
        ("net.ipv6.conf.lo.stable_secret", '"2001:db8::1"', "2001:0db8:0000:0000:0000:0000:0000:0001"),
        ("net.ipv4.tcp_fastopen_key", '"1-2-3-4"', "00000001-00000002-00000003-00000004"),
        ("net.ipv4.conf.all.rp_filter", '"0x2"', "2"),
        ("net.ipv4.ping_group_range", '"0   010"', "0 8"),
        ("net.ipv4.conf.default.log_martians", "true", "1"),
    ],
)
def test_what_the_kernel_shows_is_the_value(host: Host, key: str, written: str, shown: str) -> None:
    host.write("lab.toml", f"[sysctl]\n{key} = {written}\n")
    host.daemon()
    assert host.sysctl(key) == shown
    assert host.state(f"sysctl/{key}") == "ok"
    assert host.status()["state"] == "converged"


@pytest.mark.parametrize("key", ["net.ipv4.route.flush", "net.ipv6.route.flush"])
def test_what_cannot_be_read_is_refused(host: Host, key: str) -> None:
    host.write("lab.toml", f"[sysctl]\n{key} = 1\n")
    assert "it is write-only" in host.netd("check", check=1).text


def routed(pair: tuple[Host, Host]) -> Host:
    """A host with a default route from the advertisements of another."""
    a, b = pair
    a.sysctl("net.ipv6.conf.eth0.accept_ra")
    b.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")

    def advertised() -> bool:
        b.run(sys.executable, "-SE", "-c", ADVERTISE, "eth0")
        return bool(a.routes("default", "proto", "ra"))

    a.until(advertised, "the route is there")
    return a


RA, FORWARDING = "net.ipv6.conf.eth0.accept_ra = 2\n", "net.ipv6.conf.all.forwarding = 1\n"


@pytest.mark.parametrize("text", [FORWARDING + RA, RA + FORWARDING, RA + "net.ipv6.conf.eth0.forwarding = 1\n"])
@pytest.mark.parametrize("by", ["apply", "daemon"])
def test_an_advertised_route_survives_forwarding(pair: tuple[Host, Host], text: str, by: str) -> None:
    a = routed(pair)
    a.write("lab.toml", "[sysctl]\n" + text)
    assert "warning" not in a.netd("check").text
    if by == "apply":
        a.apply()
    else:
        a.daemon()
    assert a.sysctl("net.ipv6.conf.eth0.forwarding") == "1"
    assert a.routes("default", "proto", "ra")


def test_a_file_that_would_cost_the_route_is_warned_of(pair: tuple[Host, Host]) -> None:
    a = routed(pair)
    a.write("lab.toml", "[sysctl]\n" + FORWARDING)
    assert "net.ipv6.conf.eth0.accept_ra = 2" in a.netd("check").text
    a.daemon()
    assert "net.ipv6.conf.eth0.accept_ra = 2" in a.netd("status", check=None).text
