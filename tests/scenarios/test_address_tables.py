"""Addresses with a label, and deprecated ones: tables in ``addresses``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.host import Host

LAB = """
[bridge.br0]
nodad = true
addresses = [
    "10.7.0.1/24",
    { address = "10.7.0.2/24", label = "br0:old", preferred_lft = 0 },
    { address = "fd07::2/64", preferred_lft = 0 },
]

[veth.p0]
master = "br0"
peer = { name = "p1" }
"""


def shown(host: Host, address: str) -> dict[str, Any]:
    found = host.json("ip", "-j", "addr", "show", "dev", "br0")[0]["addr_info"]
    return dict({each["local"]: each for each in found}[address])


def right(host: Host) -> bool:
    four, six = shown(host, "10.7.0.2"), shown(host, "fd07::2")
    # Of a permanent address of IPv4 the kernel shows no preferred lifetime (inet_fill_ifaddr()).
    of_four = (four["label"], four.get("deprecated"), four["valid_life_time"])
    of_six = (six.get("deprecated"), six["preferred_life_time"], six["valid_life_time"])
    return (of_four, of_six) == (("br0:old", True, 4294967295), (True, 0, 4294967295))


HARMS = (
    "ip addr del 10.7.0.2/24 dev br0; ip addr del fd07::2/64 dev br0",
    "ip addr change 10.7.0.2/24 dev br0 preferred_lft forever; ip addr change fd07::2/64 dev br0 preferred_lft forever",
    "ip addr del 10.7.0.2/24 dev br0; ip addr add 10.7.0.2/24 dev br0 label br0:other",
)


@pytest.mark.parametrize("harm", HARMS)
def test_a_label_and_a_preferred_lifetime_are_kept(host: Host, harm: str) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    host.converged()
    assert right(host)
    with daemon.asleep():
        host.sh(harm)
    host.until(lambda: right(host), "label and lifetime are right")
    assert "in sync" in host.netd("diff").text


def test_they_go_with_their_keys(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.converged()
    plain = LAB.replace('{ address = "10.7.0.2/24", label = "br0:old", preferred_lft = 0 }', '"10.7.0.2/24"')
    host.write("lab.toml", plain.replace('{ address = "fd07::2/64", preferred_lft = 0 }', '"fd07::2/64"'))
    host.netd("reload")
    host.converged()
    assert shown(host, "10.7.0.2")["label"] == "br0"
    assert not shown(host, "10.7.0.2").get("deprecated") and not shown(host, "fd07::2").get("deprecated")


@pytest.mark.parametrize(
    "entry, said",
    [
        ('{ address = "fd00::1/64", label = "x" }', "only IPv4 addresses have one"),
        ('{ address = "10.0.0.1/24", preferred_lft = 60 }', "must be 0 (deprecated"),
        ('{ label = "x" }', "address"),
        ('{ address = "10.0.0.1/24", label = "far too long a label" }', "cannot be a label"),
    ],
)
def test_what_the_kernel_has_not_is_an_error(host: Host, entry: str, said: str) -> None:
    host.write("lab.toml", f"[bridge.br0]\naddresses = [{entry}]\n")
    assert said in host.netd("check", check=1).text
