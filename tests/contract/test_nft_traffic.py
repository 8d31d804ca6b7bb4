"""Address translation, by what the servers say of their clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.nft_lab import Lab, sandbox

PORTS = """
[[nat.dnat]]
port = 8083
to = "192.168.17.204:80"

[[nat.dnat]]
protocol = "udp"
port = 8083
to = "192.168.17.204:80"

[[nat.dnat]]
port = 8083
to = "[fd00:1::204]:80"

[[nat.dnat]]
port = "9000-9002"
to = "192.168.17.204:8000-8002"

[[nat.dnat]]
protocol = "udp"
port = "9000-9002"
to = "[fd00:1::204]:8000-8002"

[[nat.dnat]]
port = "8000-8002"
to = "192.168.17.204"
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """The machine, web, client and far, with servers on web and far."""
    with sandbox() as found:
        found.build()
        found.serve("web")
        found.serve("far")
        yield found


def routes(lab: Lab) -> None:
    """Lets far know the way to the inner networks."""
    lab.run("ip -n far route add 192.168.16.0/20 via 10.230.4.204; ip -n far route add fd00:1::/61 via fd00:4::204")


@pytest.mark.parametrize(
    "entry", ['source = "192.168.16.0/20"\nout = "eth0"', 'source = "192.168.16.0/20"', 'out = "eth0"']
)
def test_masquerade_gives_the_address_of_the_link(lab: Lab, entry: str) -> None:
    assert lab.ask("client", "10.230.4.9", 80) == ""
    lab.translate(f"[[nat.masquerade]]\n{entry}")
    assert lab.answer("client", "10.230.4.9", 80) == "80 10.230.4.204"
    assert lab.answer("client", "192.168.17.204", 80) == "80 192.168.18.5"


@pytest.mark.parametrize("entry", ['source = "fd00:1::/61"\nout = "eth0"', 'source = "fd00:1::/61"', 'out = "eth0"'])
def test_masquerade_of_ipv6(lab: Lab, entry: str) -> None:
    lab.translate(f"[[nat.masquerade]]\n{entry}")
    assert lab.answer("client", "fd00:4::9", 80) == "80 fd00:4::204"
    assert lab.answer("client", "fd00:1::204", 80) == "80 fd00:1:0:3::5"


def test_masquerade_leaves_other_sources_alone(lab: Lab) -> None:
    routes(lab)
    lab.translate('[[nat.masquerade]]\nsource = "192.168.17.0/24"\n[[nat.masquerade]]\nsource = "fd00:1::/64"')
    assert lab.answer("client", "10.230.4.9", 80) == "80 192.168.18.5"
    assert lab.answer("web", "10.230.4.9", 80) == "80 10.230.4.204"
    assert lab.answer("client", "fd00:4::9", 80) == "80 fd00:1:0:3::5"
    assert lab.answer("web", "fd00:4::9", 80) == "80 fd00:4::204"


def test_snat_gives_the_address_that_is_written(lab: Lab) -> None:
    lab.run("ip address add 10.230.4.77/24 dev eth0; ip address add fd00:4::77/64 dev eth0 nodad")
    lab.translate(
        '[[nat.snat]]\nsource = "192.168.16.0/20"\nout = "eth0"\nto = "10.230.4.77"\n'
        '[[nat.snat]]\nout = "eth0"\nto = "fd00:4::77"\n'
    )
    assert lab.answer("client", "10.230.4.9", 80) == "80 10.230.4.77"
    assert lab.answer("client", "fd00:4::9", 80) == "80 fd00:4::77"


def test_a_port_leads_in_from_outside_and_the_server_sees_who_asks(lab: Lab) -> None:
    lab.translate(PORTS)
    assert lab.answer("far", "10.230.4.204", 8083) == "80 10.230.4.9"
    assert lab.answer("far", "10.230.4.204", 8083, "udp") == "80 10.230.4.9"
    assert lab.answer("far", "fd00:4::204", 8083) == "80 fd00:4::9"


def test_each_port_of_a_range_leads_to_its_own(lab: Lab) -> None:
    lab.translate(PORTS)
    for number in range(3):
        assert lab.answer("far", "10.230.4.204", 9000 + number) == f"{8000 + number} 10.230.4.9"
        assert lab.answer("far", "fd00:4::204", 9000 + number, "udp") == f"{8000 + number} fd00:4::9"
        assert lab.answer("far", "10.230.4.204", 8000 + number) == f"{8000 + number} 10.230.4.9"
        assert lab.answer("", "10.230.4.204", 9000 + number).startswith(f"{8000 + number} ")


def test_the_machine_itself_gets_through_by_each_of_its_addresses_but_loopback(lab: Lab) -> None:
    lab.translate(PORTS)
    for address in ("10.230.4.204", "192.168.16.1"):
        assert lab.answer("", address, 8083) == "80 192.168.16.1"
        assert lab.answer("", address, 8083, "udp") == "80 192.168.16.1"
    for address in ("fd00:4::204", "fd00:1::1"):
        assert lab.answer("", address, 8083) == "80 fd00:1::1"
    assert lab.ask("", "127.0.0.1", 8083) == lab.ask("", "::1", 8083) == ""


@pytest.mark.parametrize("shown", [0, 1])
def test_a_client_beside_the_target_is_masqueraded(lab: Lab, shown: int) -> None:
    lab.run(f"sysctl -qw net.bridge.bridge-nf-call-iptables={shown} net.bridge.bridge-nf-call-ip6tables={shown}")
    lab.translate(PORTS)
    for address in ("10.230.4.204", "192.168.16.1"):
        assert lab.answer("client", address, 8083) == "80 192.168.16.1"
        assert lab.answer("client", address, 8083, "udp") == "80 192.168.16.1"
    assert lab.answer("client", "fd00:4::204", 8083) == "80 fd00:1::1"
    assert lab.answer("client", "192.168.17.204", 80) == "80 192.168.18.5"


@pytest.mark.parametrize("shown", [0, 1])
def test_the_target_reaches_itself_where_its_port_may_send_back(lab: Lab, shown: int) -> None:
    lab.run(f"sysctl -qw net.bridge.bridge-nf-call-iptables={shown} net.bridge.bridge-nf-call-ip6tables={shown}")
    lab.run("ip link set pweb type bridge_slave hairpin on")
    lab.translate(PORTS)
    assert lab.answer("web", "10.230.4.204", 8083) == "80 192.168.16.1"
    assert lab.answer("web", "fd00:4::204", 8083) == "80 fd00:1::1"


def test_a_connection_that_someone_else_translates_is_not_masqueraded(lab: Lab) -> None:
    lab.run("sysctl -qw net.bridge.bridge-nf-call-iptables=0")
    lab.translate(PORTS)
    lab.run(
        "nft add table ip other; nft add chain ip other pre '{ type nat hook prerouting priority -90; }';"
        "nft add rule ip other pre tcp dport 7777 dnat to 192.168.17.204:80"
    )
    assert lab.answer("far", "10.230.4.204", 7777) == "80 10.230.4.9"
    assert lab.ask("client", "10.230.4.204", 7777) == ""


def test_a_given_link_and_a_given_destination_narrow(lab: Lab) -> None:
    lab.run("ip address add 10.230.4.77/24 dev eth0")
    lab.translate(
        '[[nat.dnat]]\nport = 8083\nto = "192.168.17.204:80"\nin = "eth0"\n'
        '[[nat.dnat]]\nport = 8084\nto = "192.168.17.204:80"\ndestination = "10.230.4.77"\n'
    )
    assert lab.answer("far", "10.230.4.204", 8083) == "80 10.230.4.9"
    assert lab.ask("client", "192.168.16.1", 8083) == lab.ask("", "10.230.4.204", 8083) == ""
    assert lab.answer("far", "10.230.4.77", 8084) == "80 10.230.4.9"
    assert lab.answer("", "10.230.4.77", 8084) == lab.answer("client", "10.230.4.77", 8084) == "80 192.168.16.1"
    assert lab.ask("far", "10.230.4.204", 8084) == ""


def test_the_first_entry_that_matches_counts(lab: Lab) -> None:
    special = '[[nat.dnat]]\nport = 80\nto = "192.168.17.204:8000"\ndestination = "10.230.4.204"\n'
    lab.translate(special + '[[nat.dnat]]\nport = 80\nto = "192.168.17.204:8001"\n')
    assert lab.answer("far", "10.230.4.204", 80).startswith("8000 ")
    assert lab.answer("client", "192.168.16.1", 80).startswith("8001 ")
