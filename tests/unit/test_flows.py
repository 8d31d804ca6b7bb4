# ruff: noqa: E501
"""Which connections have a translation that the entries of the file cannot give any more."""

from __future__ import annotations

import socket

import pytest

from netd.model.flows import DESTINATION_NAT, SOURCE_NAT, UDP, Flow, Stale, Translation

LOCAL = {"127.0.0.1", "10.0.0.1", "192.0.2.1", "192.0.2.7", "fd00::1"}


def flow(
    destination: str, port: int, to: str = "", to_port: int = 0, source: str = "203.0.113.9", leaves: str = ""
) -> Flow:
    status = (DESTINATION_NAT if to and to != destination else 0) | (SOURCE_NAT if leaves else 0)
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    return Flow(family, UDP, source, destination, port, to or destination, to_port or port, leaves or source, status)


def dnat(
    to: str, ports: tuple[int, int] = (53, 53), standing: bool = True, changed: bool = True, **more: object
) -> Translation:
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    return Translation("dnat", standing, changed, family, to=to, protocol=UDP, ports=ports, **more)  # type: ignore[arg-type]


def out(source: str = "", link: str = "", to: str = "", standing: bool = True, changed: bool = True) -> Translation:
    return Translation("snat" if to else "masquerade", standing, changed, socket.AF_INET, source, link, to)


def stale(found: Flow, *entries: Translation) -> bool:
    return Stale(
        entries, LOCAL, lambda to: ("eth0", ["192.0.2.1"]) if to.startswith("203.") else ("br0", ["10.0.0.1"])
    )(found)


IN = [
    ("an old target", flow("192.0.2.1", 53, "10.0.0.11"), [dnat("10.0.0.12")], True),
    ("the target of now", flow("192.0.2.1", 53, "10.0.0.12"), [dnat("10.0.0.12")], False),
    ("an entry that came", flow("192.0.2.1", 53), [dnat("10.0.0.12")], True),
    ("an entry that went", flow("192.0.2.1", 53, "10.0.0.12"), [dnat("10.0.0.12", standing=False)], True),
    ("one that went and was not used", flow("192.0.2.1", 53), [dnat("10.0.0.12", standing=False)], False),
    ("another port", flow("192.0.2.1", 54, "10.0.0.11"), [dnat("10.0.0.12")], False),
    ("an entry that did not change", flow("192.0.2.1", 53, "10.0.0.11"), [dnat("10.0.0.12", changed=False)], False),
    ("another port of the target", flow("192.0.2.1", 53, "10.0.0.12", 5353), [dnat("10.0.0.12")], True),
    ("a shifted range", flow("192.0.2.1", 8003, "10.0.0.12", 9003), [dnat("10.0.0.12", (8000, 8010), to_ports=(9000, 9010))], False),
    ("a range shifted otherwise", flow("192.0.2.1", 8003, "10.0.0.12", 9003), [dnat("10.0.0.12", (8000, 8010), to_ports=(9001, 9011))], True),
    ("what crosses this machine", flow("203.0.113.5", 53), [dnat("10.0.0.12")], False),
    ("what another translates", flow("203.0.113.5", 53, "172.17.0.2"), [dnat("10.0.0.12")], False),
    ("an address that has left", flow("198.51.100.1", 53, "10.0.0.12"), [dnat("10.0.0.12", standing=False)], True),
    ("another destination", flow("192.0.2.7", 53, "10.0.0.11"), [dnat("10.0.0.12", destination="192.0.2.1")], False),
    ("loopback", flow("127.0.0.1", 53), [dnat("10.0.0.12")], False),
    ("an exception by link", flow("192.0.2.1", 53, "10.0.0.12"), [dnat("10.0.0.11", link="eth1", changed=False), dnat("10.0.0.12")], False),
    ("what only comes by a link", flow("192.0.2.1", 53), [dnat("10.0.0.12", link="eth0")], False),
    ("the earlier entry counts", flow("192.0.2.1", 53, "10.0.0.11"), [dnat("10.0.0.12", destination="192.0.2.1"), dnat("10.0.0.11")], True),
    ("IPv6", flow("fd00::1", 53, "fd01::2", source="fd02::1"), [dnat("fd01::3")], True),
    ("the other family", flow("192.0.2.1", 53, "10.0.0.11"), [dnat("fd01::3")], False),
]  # fmt: skip

OUT = [
    ("an entry that came", flow("203.0.113.5", 53, source="10.0.0.11"), [out("10.0.0.0/24", "eth0", "192.0.2.7")], True),
    ("an address that changed", flow("203.0.113.5", 53, source="10.0.0.11", leaves="192.0.2.1"), [out("10.0.0.0/24", "eth0", "192.0.2.7")], True),
    ("the address of now", flow("203.0.113.5", 53, source="10.0.0.11", leaves="192.0.2.7"), [out("10.0.0.0/24", "eth0", "192.0.2.7")], False),
    ("an entry that went", flow("203.0.113.5", 53, source="10.0.0.11", leaves="192.0.2.1"), [out("10.0.0.0/24", standing=False)], True),
    ("masqueraded as it should be", flow("203.0.113.5", 53, source="10.0.0.11", leaves="192.0.2.1"), [out("10.0.0.0/24", "eth0")], False),
    ("masqueraded with an address that is gone", flow("203.0.113.5", 53, source="10.0.0.11", leaves="198.51.100.1"), [out("10.0.0.0/24")], True),
    ("masqueraded with another address", flow("203.0.113.5", 53, source="10.0.0.11", leaves="192.0.2.7"), [out("10.0.0.0/24", "eth0")], True),
    ("another link", flow("203.0.113.5", 53, source="10.0.0.11"), [out("10.0.0.0/24", "eth9")], False),
    ("within the network", flow("10.0.0.12", 53, source="10.0.0.11"), [out("10.0.0.0/24")], False),
    ("to this machine", flow("10.0.0.1", 53, source="10.0.0.11"), [out("10.0.0.0/24")], False),
    ("another source", flow("203.0.113.5", 53, source="10.9.0.11"), [out("10.0.0.0/24")], False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "found", "entries", "wanted"), IN + OUT, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_connection_is_stale_where_the_entries_lead_it_elsewhere(
    what: str, found: Flow, entries: list[Translation], wanted: bool
) -> None:
    assert stale(found, *entries) is wanted
