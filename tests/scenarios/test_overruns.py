"""Events that were lost: buffers that overrun for real, and what was broken meanwhile."""

from __future__ import annotations

import pytest

from tests.scenarios.drift import PAIR
from tests.support.host import Host
from tests.support.picture import Picture, differences, picture
from tests.support.process import Daemon

SMALL = "tests.support.small_buffers"
LAB = (
    PAIR
    + """
[[nat.masquerade]]
source = "10.1.0.0/24"
out = "eth0"

[[route]]
to = "10.9.0.0/24"
type = "unreachable"

[sysctl]
net.ipv4.ip_default_ttl = 77

[namespace.a.sysctl]
net.ipv4.ip_default_ttl = 78

[[namespace.a.nat.masquerade]]
out = "eth0"
"""
)
#: netd's own, on the host and in a namespace, each in another way.
HARM = """
ip link set br0 down
ip -n a addr flush dev eth0
ip link set port-a nomaster
ip route flush table main proto 110
ip netns del b
sysctl -qw net.ipv4.ip_default_ttl=66
ip netns exec a sysctl -qw net.ipv4.ip_default_ttl=66
nft flush ruleset
"""


def stands(host: Host) -> Daemon:
    """The lab, kept by a daemon with small buffers."""
    host.write("lab.toml", LAB)
    daemon = host.daemon(module=SMALL)
    host.converged()
    return daemon


def lost(daemon: Daemon, source: str = "Events") -> int:
    return daemon.text().count(f"lost events of {source}")


@pytest.mark.thorough
def test_what_was_broken_while_two_thousand_links_came_and_went_is_whole_again(host: Host) -> None:
    daemon = stands(host)
    before = picture(host)
    # One group, so that they can go at once: each for itself takes the kernel 17 ms.
    pairs = "".join(f"link add f{n} group 4711 type veth peer name g{n}\n" for n in range(1000))
    host.file("/run/pairs").write_text(pairs)
    crowd = host.start("sh", "-c", "ip -batch /run/pairs && ip link del group 4711")
    # Few times, so that nothing counts as contended.
    for _ in range(4):
        host.sh(HARM, check=None)
    # All have come and gone, however long the kernel takes, and udev where there is one.
    assert crowd.popen.wait(300) == 0
    assert lost(daemon), "the buffer has overrun"
    whole(host, before)


def whole(host: Host, before: Picture) -> None:
    def as_before() -> bool:
        found = differences(before, picture(host), set(before))
        if found:
            raise LookupError("\n".join(found))
        return True

    host.until(as_before, "everything stands as before")
    host.converged()


def test_what_was_broken_in_one_burst_while_netd_slept_is_whole_again(host: Host) -> None:
    daemon = stands(host)
    before = picture(host)
    with daemon.asleep():
        host.sh("ip link add theirs type bridge")
        host.sh("for n in $(seq 100); do echo link set theirs alias x$n; done | ip -batch -")
        host.sh(HARM)
    host.until(lambda: lost(daemon), "events were lost")
    whole(host, before)


def test_a_table_that_was_deleted_in_a_storm_of_nftables_comes_back(host: Host) -> None:
    daemon = stands(host)
    before = picture(host)
    with daemon.asleep():
        host.sh("""
            ip netns exec a nft delete table inet netd
            nft add table ip x; nft add chain ip x y
            for n in $(seq 200); do echo "add rule ip x y counter"; done | nft -f -
            nft delete table inet netd; nft delete table ip x
        """)
    host.until(lambda: lost(daemon), "events were lost")
    whole(host, before)


@pytest.mark.thorough
def test_sysctls_that_changed_in_more_writes_than_inotify_can_hold_come_back(host: Host) -> None:
    daemon = stands(host)
    before = picture(host)
    # Writes to one file in a row are one event: two take turns, so often that the queue (16,384 by default) is full.
    writes = """
first, second = (open(f"/proc/sys/net/ipv4/{key}", "wb", buffering=0) for key in ("ip_default_ttl", "ip_forward"))
for number in range(20000):
    first.write(b"64"); second.write(b"1")
"""
    host.write("more.toml", "[sysctl]\nnet.ipv4.ip_forward = 0\n")
    host.until(lambda: host.state("sysctl/net.ipv4.ip_forward") == "ok", "both are watched")
    with daemon.asleep():
        host.run("python3", "-c", writes)
        host.sh("ip netns exec a sysctl -qw net.ipv4.ip_default_ttl=66")
    host.until(lambda: lost(daemon, "SysctlWatch"), "events were lost")
    host.until(lambda: host.sysctl("net.ipv4.ip_forward") == "0", "the one is back")
    host.until(lambda: host.sysctl("net.ipv4.ip_default_ttl") == "77", "the other is back")
    host.until(lambda: host.sysctl("net.ipv4.ip_default_ttl", "a") == "78", "the one that was not even noticed, too")
    whole(host, before)
