"""Packets as lines: what is in them, and nothing but a line whatever is in them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netd.capture.summary import summary

HEADER = bytes.fromhex("020000000002020000000001")


def ipv4(protocol: int, data: bytes) -> bytes:
    whole = 20 + len(data)
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, whole, 0, 0, 64, protocol, 0, b"\x0a\0\0\1", b"\x0a\0\0\2") + data


TCP = struct.pack("!HHIIBBHHH", 40000, 80, 7, 0, 0x50, 0x12, 0, 0, 0)
INNER = HEADER + b"\x08\x00" + ipv4(1, b"\x08\x00\0\0\0\x05\0\x06")
PACKETS = {
    "ARP who-has 10.0.0.2 tell 10.0.0.1": HEADER
    + b"\x08\x06" + bytes.fromhex("0001080006040001020000000001 0a000001 000000000000 0a000002"),
    "10.0.0.1 > 10.0.0.2 ICMP echo request id 5 seq 6": INNER,
    "10.0.0.1:40000 > 10.0.0.2:80 TCP [S.] seq 7, 0 bytes": HEADER + b"\x08\x00" + ipv4(6, TCP),
    "vlan 30 10.0.0.1:40000 > 10.0.0.2:80 TCP [S.] seq 7, 0 bytes": HEADER
    + b"\x81\x00\x00\x1e\x08\x00" + ipv4(6, TCP),
    "10.0.0.1:1 > 10.0.0.2:4789 UDP VXLAN 24 | 10.0.0.1 > 10.0.0.2 ICMP echo request id 5 seq 6": HEADER
    + b"\x08\x00" + ipv4(17, struct.pack("!HHHH", 1, 4789, 8, 0) + b"\x08\0\0\0\0\0\x18\0" + INNER),
}  # fmt: skip


@pytest.mark.parametrize("line", PACKETS)
def test_a_packet_is_a_line_that_says_who_sends_what_to_whom(line: str) -> None:
    assert summary(PACKETS[line]) == line


@given(st.binary(max_size=200), st.sampled_from(sorted(PACKETS)), st.booleans(), st.integers(0, 120))
def test_any_bytes_are_one_line(data: bytes, line: str, ethernet: bool, cut: int) -> None:
    for packet in (data, PACKETS[line][:cut] + data):
        assert "\n" not in summary(packet, ethernet=ethernet)
