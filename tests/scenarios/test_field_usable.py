"""An object is ok when it can be used; until then it is pending, and what waits, waits for it."""

from __future__ import annotations

import sys

from tests.support.field import LAB
from tests.support.host import Host

BIND = """
import socket, sys
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).bind((sys.argv[1], 0))
"""

PAIR = """
[namespace.b]

[namespace.a.veth.eth0]
addresses = ["fd00::2/64", "10.0.0.2/24"]
peer = { name = "v0", namespace = "b", addresses = ["fd00::1/64"] }
"""


def bind(host: Host, address: str, ns: str = "") -> None:
    host.run(sys.executable, "-SE", "-c", BIND, address, ns=ns)


def pending(host: Host, name: str) -> str:
    """The reason of an object that is pending."""
    found = next(each for each in host.status()["objects"] if each["object"] == name)
    assert found["state"] == "pending", found
    return str(found["reason"])


def test_who_waited_for_an_address_can_bind_to_it(host: Host) -> None:
    host.daemon()
    host.write("lab.toml", PAIR)
    host.netd("reload")
    host.netd("wait", "a:address/eth0/fd00::2/64")
    bind(host, "fd00::2", "a")


def test_who_waited_for_the_whole_can_bind_to_every_address(host: Host) -> None:
    host.daemon()
    host.write("lab.toml", PAIR)
    host.netd("reload")
    host.netd("wait")
    bind(host, "fd00::2", "a")
    bind(host, "fd00::1", "b")


def test_apply_ends_when_the_addresses_are_usable(host: Host) -> None:
    host.write("lab.toml", PAIR)
    report = host.apply()
    bind(host, "fd00::2", "a")
    bind(host, "fd00::1", "b")
    assert report["pending"] == []


def test_an_address_without_a_carrier_is_pending_and_says_what_to_write(host: Host) -> None:
    host.write("lab.toml", '[bridge.br0]\naddresses = ["fd00::1/64", "10.0.0.1/24"]\n')
    daemon = host.daemon()
    host.until(lambda: "nodad" in pending(host, "address/br0/fd00::1/64"), "the reason is said")
    assert "no carrier" in pending(host, "address/br0/fd00::1/64")
    assert host.state("address/br0/10.0.0.1/24") == "ok", "an IPv4 address can be used at once"
    host.netd("wait")
    assert host.netd("wait", "--timeout", "1", "address/br0/fd00::1/64", check=None).returncode == 1
    host.write("lab.toml", '[bridge.br0]\naddresses = ["fd00::1/64"]\nnodad = true\n')
    host.netd("wait", "address/br0/fd00::1/64")
    bind(host, "fd00::1")
    daemon.stop()
    host.write("lab.toml", '[bridge.br0]\naddresses = ["fd00::1/64", "fd00::2/64"]\n')
    assert any("carrier" in each["reason"] for each in host.apply()["pending"])


def test_a_carrier_that_comes_makes_the_address_ok(host: Host) -> None:
    host.write("lab.toml", '[bridge.br0]\naddresses = ["fd00::1/64"]\n')
    host.daemon()
    host.until(lambda: pending(host, "address/br0/fd00::1/64"), "it waits")
    host.sh("ip link add p0 up type veth peer name p1; ip link set p1 up; ip link set p0 master br0")
    host.netd("wait", "address/br0/fd00::1/64")
    bind(host, "fd00::1")


def test_a_route_from_an_address_of_the_same_file(host: Host) -> None:
    host.write("lab.toml", PAIR + '[[namespace.a.route]]\nto = "fd99::/64"\nvia = "fd00::1"\nsrc = "fd00::2"\n')
    host.netd("apply")
    (route,) = host.routes("fd99::/64", ns="a")
    assert route["prefsrc"] == "fd00::2"


def test_a_daemon_that_waits_for_the_source_of_a_route_calls_nothing_failed(host: Host) -> None:
    host.write("lab.toml", PAIR + '[[namespace.a.route]]\nto = "fd99::/64"\nvia = "fd00::1"\nsrc = "fd00::2"\n')
    daemon = host.daemon()
    host.netd("wait", "a:route/main/fd99::/64/1024")
    assert host.routes("fd99::/64", ns="a")
    assert "failed" not in daemon.text()
    assert "refused" not in daemon.text()


def test_a_route_from_an_address_that_nobody_has_is_pending(host: Host) -> None:
    host.write("lab.toml", PAIR + '[[namespace.a.route]]\nto = "10.9.0.0/24"\nvia = "10.0.0.1"\nsrc = "10.0.0.7"\n')
    host.daemon()
    assert "10.0.0.7" in pending(host, "a:route/main/10.9.0.0/24/0")
    host.run("ip", "-n", "a", "addr", "add", "10.0.0.7/32", "dev", "lo")
    host.netd("wait", "a:route/main/10.9.0.0/24/0")


def test_a_port_is_ok_when_it_forwards(host: Host) -> None:
    host.write("lab.toml", LAB.replace("[bridge.br0]\n", "[bridge.br0]\nstp = true\nforward_delay = 2\n"))
    host.daemon()
    assert "forward" in pending(host, "one:veth/eth0")
    host.netd("wait")
    assert host.pings("10.7.0.1", "one")
    assert host.state("one:veth/eth0") == "ok"


def test_apply_ends_when_ports_forward(host: Host) -> None:
    host.write("lab.toml", LAB.replace("[bridge.br0]\n", "[bridge.br0]\nstp = true\nforward_delay = 2\n"))
    host.apply()
    assert host.pings("10.7.0.1", "one")


def test_a_port_that_the_protocol_blocks_is_right(host: Host) -> None:
    ring = "[bridge.br1]\nstp = true\nforward_delay = 2\n" + "".join(
        f'[veth.r{n}]\nmaster = "br0"\npeer = {{ name = "s{n}", master = "br1" }}\n' for n in (1, 2)
    )
    host.write("lab.toml", LAB.replace("[bridge.br0]\n", "[bridge.br0]\nstp = true\nforward_delay = 2\n") + ring)
    host.apply()
    states = {host.link(f"{side}{n}")["linkinfo"]["info_slave_data"]["state"] for side in "rs" for n in (1, 2)}
    assert states == {"forwarding", "blocking"}


def test_an_address_that_another_host_has_is_called_that(host: Host) -> None:
    host.write("lab.toml", PAIR.replace('"fd00::2/64", "10.0.0.2/24"', '"fd00::3/64"'))
    host.daemon()
    host.converged()
    host.run("ip", "addr", "add", "fd00::2/64", "dev", "v0", "nodad", ns="b")
    host.write("lab.toml", PAIR)
    host.netd("reload")
    name = "a:address/eth0/fd00::2/64"

    def reason() -> str:
        return str(next(each for each in host.status()["objects"] if each["object"] == name)["reason"])

    host.until(lambda: "another host" in reason() and "duplicate address detection failed" in reason(), "it is said")
    host.run("ip", "addr", "del", "fd00::2/64", "dev", "v0", ns="b")
    host.until(lambda: host.state(name) == "ok", "it is usable once the other host has it no longer")
