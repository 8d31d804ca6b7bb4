"""Address translation that changes takes the connections that began before along, and no others."""

from __future__ import annotations

import re

import pytest

from tests.support.field import LAB, hears, last, lines, stream
from tests.support.host import Host

FAR = {"10.230.4.1": "10.7.0.", "fd04::1": "fd07::"}


def dnat(address: str, number: int, protocol: str = "udp", port: int = 5353, more: str = "") -> str:
    """An entry for that family that leads to namespace NUMBER."""
    to = f"[fd07::{number}]:{port}" if ":" in address else f"10.7.0.{number}:{port}"
    return f'[[nat.dnat]]\nprotocol = "{protocol}"\nport = {port}\nto = "{to}"\n{more}\n'


def flows(host: Host, *options: str, ns: str = "") -> set[str]:
    """The connections that the kernel keeps, without what changes by itself."""
    listed = host.result("conntrack", "-L", "-o", "id", *options, ns=ns).stdout.splitlines()
    return {re.search(r"id=\d+", line)[0] for line in listed if "id=" in line}  # type: ignore[index]


@pytest.fixture
def lab(pair: tuple[Host, Host]) -> tuple[Host, Host]:
    """Three namespaces that answer on some UDP ports, and a client on another machine."""
    a, _ = pair
    a.write("lab.toml", LAB)
    a.daemon()
    for name in ("one", "two", "three"):
        a.serve(name, 5353, 5354, ns=name)
    return pair


@pytest.mark.parametrize("address", FAR)
def test_datagrams_that_keep_coming_follow_a_changed_target(lab: tuple[Host, Host], address: str) -> None:
    a, b = lab
    a.write("nat.toml", dnat(address, 11))
    client = stream(b, address, 5353)
    hears(b, client, "one")
    a.write("nat.toml", dnat(address, 12))
    hears(b, client, "two")


@pytest.mark.parametrize("address", FAR)
def test_datagrams_that_keep_coming_find_a_port_closed(lab: tuple[Host, Host], address: str) -> None:
    a, b = lab
    a.write("nat.toml", dnat(address, 11))
    client = stream(b, address, 5353)
    hears(b, client, "one")
    a.remove("nat.toml")
    hears(b, client, "Connection")  # refused


@pytest.mark.parametrize("address", FAR)
def test_datagrams_that_came_before_the_entry_are_translated(lab: tuple[Host, Host], address: str) -> None:
    a, b = lab
    # The kernel keeps track of connections from the first entry on.
    a.write("other.toml", dnat(address, 13, port=5354))
    hears(b, stream(b, address, 5354), "three")
    client = stream(b, address, 5353)
    hears(b, client, "Connection")
    a.write("nat.toml", dnat(address, 11))
    hears(b, client, "one")


def test_a_range_and_a_destination_are_followed_too(lab: tuple[Host, Host]) -> None:
    a, b = lab
    entry = (
        '[[nat.dnat]]\nprotocol = "udp"\nport = "6000-6009"\nto = "10.7.0.{}:5353-5362"\ndestination = "10.230.4.1"\n'
    )
    a.write("nat.toml", entry.format(11))
    client = stream(b, "10.230.4.1", 6000)
    hears(b, client, "one")
    a.write("nat.toml", entry.format(12))
    hears(b, client, "two")
    a.write("nat.toml", entry.format(12).replace("5353-5362", "5354-5363"))
    b.until(lambda: client.text().splitlines()[-1].endswith(" 5354"), "the other port")


def test_in_a_namespace_and_on_the_machine_itself(lab: tuple[Host, Host]) -> None:
    a, _ = lab
    a.write("router.toml", "[namespace.three.sysctl]\nnet.ipv4.ip_forward = 1\n")
    a.write("nat.toml", dnat("10.", 12) + dnat("10.", 11).replace("[[nat", "[[namespace.three.nat"))
    here = stream(a, "10.230.4.1", 5353)
    there = stream(a, "10.7.0.13", 5353, ns="two")
    hears(a, here, "two")
    hears(a, there, "one")
    a.write("nat.toml", dnat("10.", 11) + dnat("10.", 11, port=5354).replace("[[nat", "[[namespace.three.nat"))
    hears(a, here, "one")
    hears(a, there, "three")


def test_the_address_of_a_source_translation_is_followed(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.address("eth0", "10.230.4.77/24", "10.230.4.78/24", "fd04::77/64", "fd04::78/64")
    a.write("lab.toml", LAB)
    a.daemon()
    b.serve("far", 5353)
    # It answers in vain who is not translated.
    b.sh("ip route add 10.7.0.0/24 via 10.230.4.99; ip route add fd07::/64 via fd04::99")
    entries = "".join(
        f'[[nat.snat]]\nsource = "{source}"\nout = "eth0"\nto = "{to}77"\n'
        for source, to in (("10.7.0.0/24", "10.230.4."), ("fd07::/64", "fd04::"))
    )
    a.write("nat.toml", entries)
    clients = [stream(a, "10.230.4.2", 5353, ns="one"), stream(a, "fd04::2", 5353, ns="one")]

    def leaves(*wanted: str) -> None:
        a.until(
            lambda: [client.text().splitlines()[-1].split()[1:2] for client in clients] == [[w] for w in wanted],
            str(wanted),
        )

    leaves("10.230.4.77", "fd04::77")
    a.write("nat.toml", entries.replace("77", "78"))
    leaves("10.230.4.78", "fd04::78")
    a.write("nat.toml", '[[nat.masquerade]]\nout = "eth0"\n')
    leaves("10.230.4.1", "fd04::78")  # of IPv6 the kernel chooses the address that came last
    a.remove("nat.toml")
    a.until(lambda: [last(client) for client in clients] == ["nothing"] * 2, "nobody knows the way back")


def test_connections_of_others_are_left_alone(lab: tuple[Host, Host]) -> None:
    a, b = lab
    a.write("nat.toml", dnat("10.", 11) + dnat("10.", 13, port=5354))
    going, staying = stream(b, "10.230.4.1", 5353), stream(b, "10.230.4.1", 5354)
    direct = stream(a, "10.7.0.13", 5353)
    hears(b, going, "one")
    hears(b, staying, "three")
    hears(a, direct, "three")
    before = flows(a, "-p", "udp", "--orig-port-dst", "5354") | flows(a, "-p", "udp", "-d", "10.7.0.13")
    assert len(before) == 2
    a.write("nat.toml", dnat("10.", 12) + dnat("10.", 13, port=5354))
    hears(b, going, "two")
    assert flows(a, "-p", "udp", "--orig-port-dst", "5354") | flows(a, "-p", "udp", "-d", "10.7.0.13") == before


def test_an_established_connection_stays_where_it_is_while_its_target_is_there(lab: tuple[Host, Host]) -> None:
    a, b = lab
    for name in ("one", "two"):
        lines(a, name, 7000, name)
    a.write("nat.toml", dnat("10.", 11, "tcp", 7000))
    before = stream(b, "10.230.4.1", 7000, "tcp")
    hears(b, before, "one")
    a.write("nat.toml", dnat("10.", 12, "tcp", 7000))
    a.until(
        lambda: b.until(lambda: True, "") and "10.7.0.12" in a.run("nft", "list", "table", "inet", "netd"),
        "the new rule",
    )
    hears(b, stream(b, "10.230.4.1", 7000, "tcp"), "two")
    count = len(before.text())
    b.until(lambda: len(before.text()) > count + 100, "the connection goes on")
    assert set(before.text().split()) == {"one"}


def test_an_established_connection_ends_where_its_target_is_gone(lab: tuple[Host, Host]) -> None:
    a, b = lab
    for name in ("one", "two"):
        lines(a, name, 7000, name)
    a.write("nat.toml", dnat("10.", 11, "tcp", 7000))
    client = stream(b, "10.230.4.1", 7000, "tcp")
    hears(b, client, "one")
    a.write("lab.toml", LAB[: LAB.index("[namespace.one")] + LAB[LAB.index("[namespace.two") :])
    a.write("nat.toml", dnat("10.", 12, "tcp", 7000))
    b.until(lambda: last(client) in ("Connection", "Broken"), "the client is told, and can connect anew")


def test_a_translation_that_is_repaired_disturbs_no_connection(lab: tuple[Host, Host]) -> None:
    a, b = lab
    lines(a, "one", 7000, "one")
    a.write("nat.toml", dnat("10.", 11) + dnat("fd::", 11) + dnat("10.", 11, "tcp", 7000))
    clients = [stream(b, "10.230.4.1", 5353), stream(b, "fd04::1", 5353), stream(b, "10.230.4.1", 7000, "tcp")]
    for client in clients:
        hears(b, client, "one")
    # Where nobody else asks for it, the kernel itself stops translating until the rules are back.
    a.sh(
        """
        nft add table inet other
        for hook in prerouting output postrouting; do
            nft "add chain inet other $hook { type nat hook $hook priority 0; }"
            nft add rule inet other $hook ct state new counter
        done
        """
    )
    before = flows(a, "--dst-nat")
    assert len(before) >= 3
    for _ in range(3):
        a.run("nft", "delete", "table", "inet", "netd")
        a.until(lambda: "dnat" in a.run("nft", "list", "ruleset"), "the rules are back")
    counts = [len(client.text()) for client in clients]
    b.until(
        lambda: all(len(client.text()) > count + 100 for client, count in zip(clients, counts, strict=True)),
        "they go on",
    )
    assert {last(client) for client in clients} == {"one"}
    assert flows(a, "--dst-nat") >= before


def test_a_changed_target_is_followed_by_apply_too(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write("lab.toml", LAB + dnat("10.", 11))
    a.apply()
    for name in ("one", "two"):
        a.serve(name, 5353, ns=name)
    client = stream(b, "10.230.4.1", 5353)
    hears(b, client, "one")
    a.write("lab.toml", LAB + dnat("10.", 12))
    a.apply()
    hears(b, client, "two")
