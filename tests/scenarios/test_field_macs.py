"""Links have the MAC addresses after a reboot that they had before, and those of no other machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.field import LAB
from tests.support.host import Host

LINKS = [("br0", ""), ("p-one", ""), ("eth0", "one"), ("eth0", "three")]


def macs(host: Host) -> list[str]:
    return [host.link(name, ns)["address"] for name, ns in LINKS]


def reboot(host: Host) -> None:
    """Everything that the kernel and /run held is gone; /etc and /var/lib stay."""
    host.sh(
        """
        for name in $(ip netns | cut -d' ' -f1); do ip netns del $name; done
        ip link del br0
        rm -rf /run/netd
        """
    )
    host.until(lambda: not host.names() & {"br0", "p-one", "p-two", "p-three"}, "the machine is empty")


@pytest.mark.parametrize("by", ["apply", "daemon"])
def test_macs_survive_a_reboot(host: Host, by: str) -> None:
    host.write("lab.toml", LAB)

    def build() -> None:
        if by == "apply":
            host.apply()
        else:
            host.daemon().stop()

    build()
    before = macs(host)
    assert len(set(before)) == len(before)
    assert all(int(mac[:2], 16) & 3 == 2 for mac in before), "locally administered, and no group's"
    reboot(host)
    build()
    assert macs(host) == before


def test_macs_are_the_same_after_down_and_up(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.apply()
    before = macs(host)
    host.netd("down")
    host.apply()
    assert macs(host) == before


def test_two_machines_of_the_same_files_have_different_macs(make_host: Callable[[str], Host]) -> None:
    hosts = [make_host(name) for name in ("a", "b")]
    for host in hosts:
        host.write("lab.toml", LAB)
        host.apply()
    first, second = map(macs, hosts)
    assert set(first).isdisjoint(second)


def test_a_clone_with_a_machine_id_of_its_own_has_other_macs(host: Host) -> None:
    host.sh("rm -f /etc/machine-id; echo 0123456789abcdef0123456789abcdef > /etc/machine-id")
    host.write("lab.toml", LAB)
    host.apply()
    before = macs(host)
    reboot(host)
    host.sh("echo fedcba9876543210fedcba9876543210 > /etc/machine-id")
    host.apply()
    assert set(macs(host)).isdisjoint(before)


@pytest.mark.parametrize("torn", ["", "00", "zz" * 32])
def test_a_torn_key_is_made_anew(host: Host, torn: str) -> None:
    host.write("lab.toml", LAB)
    host.write("/var/lib/netd/mac-key", torn)
    host.apply()
    assert host.file("/var/lib/netd/mac-key").stat().st_mode & 0o777 == 0o600
    before = macs(host)
    reboot(host)
    host.apply()
    assert macs(host) == before


def test_where_nothing_can_be_kept_the_network_is_built_and_it_is_said(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.sh("mkdir /var/lib/netd; mount -t tmpfs -o ro none /var/lib/netd")
    told = host.netd("apply", check=None).stderr
    assert "mac-key" in told
    assert "next boot" in told
    assert host.link("br0") is not None
