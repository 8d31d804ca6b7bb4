"""An address is announced in its namespace, and neighbors that knew another MAC for it learn the new one."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from netd.errors import kernel_error
from netd.kernel.announce import frames
from netd.kernel.announce.announcer import AGAIN, Announcement, Announcer
from netd.kernel.kernel import Kernel
from tests.support.kernel_sandbox import eventually, lonely_kernel, sh, shown

ETH_P_ALL = 0x0003
MAC = "02:00:00:00:00:0a"


class Announcing:
    """A pair from namespace "a" to the machine, what arrives at the machine's end, and what was reported."""

    def __init__(self, kernel: Kernel) -> None:
        self.home = kernel.home
        self.reported: list[str] = []
        self.announcer = Announcer(kernel.home, kernel.descriptor, self.reported.append)
        sh(
            f"""
            ip netns add a
            ip link add v0 type veth peer name eth0 address {MAC} netns a
            ip link set v0 up
            ip -n a link set eth0 up
            ip -n a address add 10.0.0.1/24 dev eth0
            ip -n a address add fd00::1/64 dev eth0 nodad
            """
        )
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.wire.bind(("v0", ETH_P_ALL))
        self.wire.setblocking(False)
        self.arp: list[bytes] = []
        self.advertised: list[bytes] = []

    def seen(self) -> tuple[int, int]:
        """How many announcements arrived so far, of IPv4 and IPv6."""
        while True:
            try:
                frame = self.wire.recv(2000)
            except BlockingIOError:
                return len(self.arp), len(self.advertised)
            if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42]:
                self.arp.append(frame)
            if frame[12:14] == b"\x86\xdd" and frame[20] == socket.IPPROTO_ICMPV6 and frame[54] == 136:
                self.advertised.append(frame)

    def close(self) -> None:
        self.announcer.close()
        self.wire.close()


@pytest.fixture
def lab() -> Iterator[Announcing]:
    with lonely_kernel() as kernel:
        found = Announcing(kernel)
        try:
            yield found
        finally:
            found.close()


BOTH = (Announcement("a", "eth0", "10.0.0.1"), Announcement("a", "eth0", "fd00::1"))


def test_each_address_is_announced_three_times_within_two_seconds(lab: Announcing) -> None:
    lab.announcer.announce(BOTH)
    eventually(lambda: lab.seen() == (3, 3), f"three of each in {lab.arp} {lab.advertised}")
    assert sum(AGAIN) < 2
    mac = bytes.fromhex(MAC.replace(":", ""))
    assert {frame[:12] for frame in lab.arp} == {b"\xff" * 6 + mac}
    (advertised,) = {frame[54:] for frame in lab.advertised}
    assert advertised[4:8] == b"\x20\0\0\0", "overrides, not solicited, no router"
    assert advertised[8:24] == socket.inet_pton(socket.AF_INET6, "fd00::1")
    assert advertised[24:] == b"\x02\x01" + mac
    assert {frame[21] for frame in lab.advertised} == {255}, "the hop limit that receivers insist on"
    assert lab.reported == []


def test_a_router_says_that_it_is_one(lab: Announcing) -> None:
    sh("ip netns exec a sysctl -qw net.ipv6.conf.all.forwarding=1")
    lab.announcer.announce(BOTH[1:])
    eventually(lambda: lab.seen()[1], "an advertisement")
    assert lab.advertised[0][58] == 0xA0


def test_neighbors_take_the_new_mac_at_once(lab: Announcing) -> None:
    sh("ip address add 10.0.0.9/24 dev v0; ip address add fd00::9/64 dev v0 nodad")
    for address in ("10.0.0.1", "fd00::1"):
        sh(f"ip neigh add {address} dev v0 lladdr 02:00:00:00:00:ff nud reachable")
    lab.announcer.announce(BOTH)

    def learned() -> bool:
        return {
            each["lladdr"] for each in shown("ip -j neigh show dev v0") if each["dst"] in ("10.0.0.1", "fd00::1")
        } == {MAC}

    eventually(learned, "the new MAC")


def test_announcing_does_not_wait_for_anything(lab: Announcing) -> None:
    returned, seen = threading.Event(), []

    def slow(netns: str) -> int:
        seen.append(returned.wait(20))
        raise kernel_error(errno.ENOENT, netns)

    announcer = Announcer(lab.home, slow, lab.reported.append)
    announcer.announce(BOTH)
    returned.set()
    announcer.finish()
    assert all(seen), "the call returned while the first announcement was still under way"


def test_a_namespace_does_not_live_on_because_of_announcing(lab: Announcing) -> None:
    lab.announcer.announce(BOTH)
    eventually(lambda: lab.seen()[0], "an announcement")
    sh("ip netns del a")
    eventually(lambda: not [each for each in shown("ip -j link") if each["ifname"] == "v0"], "the pair is gone")
    lab.announcer.finish()
    assert lab.reported == []


def test_what_is_not_ready_is_no_error(lab: Announcing) -> None:
    sh(
        """
        ip -n a link add d0 type veth peer name d1
        ip -n a link add b0 up type bridge; ip -n a address add fd02::1/64 dev b0
        """
    )
    found = [
        Announcement("a", link, address) for link in ("d0", "b0", "lo", "gone") for address in ("10.0.0.1", "fd02::1")
    ]
    lab.announcer.announce([*found, Announcement("gone", "eth0", "10.0.0.1")])
    lab.announcer.finish()
    assert lab.reported == []


def test_a_command_that_ends_sends_all_three_first(lab: Announcing) -> None:
    lab.announcer.announce(BOTH)
    lab.announcer.finish()
    assert lab.seen() == (3, 3)


def test_what_is_announced_anew_begins_anew(lab: Announcing) -> None:
    lab.announcer.announce(BOTH[:1])
    eventually(lambda: lab.seen()[0] == 2, "the second time")
    lab.announcer.announce(BOTH[:1])
    lab.announcer.finish()
    assert lab.seen()[0] == 5


def test_nothing_is_left_running(lab: Announcing) -> None:
    lab.announcer.announce(BOTH)
    lab.announcer.finish()
    assert not [one.name for one in threading.enumerate() if one.name.startswith("netd-announce")]
    lab.announcer.close()
    lab.announcer.announce(BOTH)
    assert not [one.name for one in threading.enumerate() if one.name.startswith("netd-announce")]


def test_an_announcement_is_what_rfc_5227_says() -> None:
    mac = bytes.fromhex("02000000000a")
    frame = frames.arp(mac, "10.0.0.1", "10.0.0.1")
    assert frame.hex() == "ffffffffffff02000000000a0806000108000604000102000000000a0a0000010000000000000a000001"
