"""Connections that the kernel keeps: read as conntrack(8) shows them, and deleted one by one."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from netd.errors import KernelError
from netd.kernel.conntrack import table
from netd.model.flows import DESTINATION_NAT, SOURCE_NAT, TCP, UDP, Flow
from tests.support.kernel_sandbox import lonely_kernel, sh


@pytest.fixture
def tracked() -> Iterator[None]:
    """Alone on a machine that keeps track of its connections, and sends 127.0.0.1:7000 to port 7001 of 127.0.0.2."""
    with lonely_kernel():
        sh(
            """
            ip link set lo up
            nft add table inet t
            nft 'add chain inet t out { type nat hook output priority -100; }'
            nft add rule inet t out ip daddr 127.0.0.1 udp dport 7000 dnat ip to 127.0.0.2:7001
            nft add rule inet t out ip6 daddr ::1 udp dport 7000 dnat ip6 to [::1]:7001
            """
        )
        yield


def say(address: str, port: int) -> int:
    """One datagram; the port that it came from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.sendto(b"?", (address, port))
        return int(client.getsockname()[1])


def flows(family: int = 0, protocol: int = 0, port: int = 0) -> list[Flow]:
    with table.open_socket() as sock:
        return list(table.read(sock, family, protocol, port))


def test_an_entry_says_where_a_packet_was_to_go_and_where_it_goes(tracked: None) -> None:
    say("127.0.0.1", 7000)
    say("::1", 7000)
    say("127.0.0.1", 7002)
    found = {(flow.destination, flow.port, flow.to, flow.to_port, flow.leaves_as) for flow in flows()}
    assert found == {
        ("127.0.0.1", 7000, "127.0.0.2", 7001, "127.0.0.1"),
        ("::1", 7000, "::1", 7001, "::1"),
        ("127.0.0.1", 7002, "127.0.0.1", 7002, "127.0.0.1"),
    }
    translated = {flow.port: flow.status & (SOURCE_NAT | DESTINATION_NAT) for flow in flows()}
    assert translated == {7000: DESTINATION_NAT, 7002: 0}


def test_an_established_connection_is_known_as_one(tracked: None) -> None:
    with socket.create_server(("127.0.0.1", 7003)) as server, socket.create_connection(("127.0.0.1", 7003)):
        server.accept()[0].close()
        (flow,) = flows(socket.AF_INET, TCP, 7003)
    assert flow.protocol == TCP
    assert flow.established


def test_only_what_is_asked_for_is_read(tracked: None) -> None:
    for address, port in (("127.0.0.1", 7002), ("127.0.0.1", 7004), ("::1", 7002)):
        say(address, port)
    found = flows(socket.AF_INET, UDP, 7002)
    assert [(flow.destination, flow.port) for flow in found] == [("127.0.0.1", 7002)]
    assert {flow.family for flow in flows(socket.AF_INET6)} == {socket.AF_INET6}


def test_a_deletion_takes_these_entries_and_no_others(tracked: None) -> None:
    for port in range(7010, 7310):
        say("127.0.0.1", port)
    going = [flow for flow in flows() if flow.port % 2]
    with table.open_socket() as sock:
        assert table.delete(sock, going) == 150
        assert table.delete(sock, going) == 0, "what is not there is no error"
    assert {flow.port for flow in flows()} == set(range(7010, 7310, 2))


def test_what_names_no_entry_deletes_nothing(tracked: None) -> None:
    """The kernel takes a deletion without a tuple for one of the whole table."""
    say("127.0.0.1", 7005)
    with table.open_socket() as sock:
        assert table.delete(sock, [Flow(socket.AF_INET, UDP, "", "", 0, "", 0, "", raw=b"")]) == 0
    assert len(flows()) == 1


def test_a_refusal_is_an_error_with_its_words(tracked: None) -> None:
    with table.open_socket() as sock, pytest.raises(KernelError, match="conntrack"):
        list(table.read(sock, 99, UDP, 1))


def test_bytes_that_make_no_sense_are_no_entry() -> None:
    for body in (bytes(4), bytes(40), struct.pack("=BBHHH", 2, 0, 0, 4, 1), b"\x02\0\0\0" + b"\xff" * 60):
        assert table.decode(body) is None
