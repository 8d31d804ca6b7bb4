"""What happens to the network when the daemon hangs, dies, is restarted, upgraded or removed: nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.labs import LAB, big, indexes
from tests.rig.machine import Machine, Ping
from tests.support.process import until

NEXT = "9.9.9"


@pytest.fixture
def lab(machine: Machine) -> Machine:
    """A machine on which a small lab stands."""
    machine.write("/etc/netd/lab.toml", LAB)
    machine.netd("wait", "web:address/eth0/10.3.0.10/24", "db:address/eth0/10.3.0.11/24", "bridge/br-lab")
    machine.netd("wait")
    # The first packet waits for a neighbour's address; what is counted comes after.
    machine.run("ping", "-c", "1", "10.3.0.11", ns="web")
    return machine


def main_pid(machine: Machine) -> str:
    return machine.show("netd", "MainPID")


def test_a_daemon_that_hangs_is_started_again_by_the_watchdog(lab: Machine) -> None:
    lab.write("/etc/systemd/system/netd.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    lab.sh("systemctl daemon-reload; systemctl restart netd")
    before, hung = indexes(lab, "web", "db"), main_pid(lab)
    with Ping(lab, "10.3.0.11", ns="web") as ping:
        lab.run("kill", "-STOP", hung)
        lab.run("ip", "link", "set", "lab-db", "alias", "changed while nobody looks")
        until(lambda: lab.show("netd", "NRestarts") == "1", "systemd starts the daemon again")
        lab.netd("wait")
    assert main_pid(lab) != hung
    assert lab.show("netd", "Result") == "success"
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in lab.journal("-u", "netd"))
    assert (ping.lost, indexes(lab, "web", "db")) == (0, before)


def test_a_daemon_killed_while_it_builds_is_started_again_and_goes_on(lab: Machine) -> None:
    count = 200
    before = indexes(lab, "web", "db")
    with Ping(lab, "10.3.0.11", ns="web") as ping:
        victim = main_pid(lab)
        # Inside the machine, because from outside each look takes longer than the build.
        lab.sh(f"""
            cp /dev/stdin /etc/netd/.big
            mv /etc/netd/.big /etc/netd/big.toml
            while [ $(ls /run/netns | wc -l) -lt 30 ]; do :; done
            kill -KILL {victim}
        """, stdin=big(count))  # fmt: skip
        built = len(lab.run("ls", "/run/netns").stdout.split()) - 2
        assert 0 < built < count, "it was killed in the middle"
        until(lambda: lab.show("netd", "NRestarts") == "1", "systemd starts the daemon again")
        lab.netd("wait", f"n{count - 1}:address/eth0/10.9.{(count - 1) // 250}.{(count - 1) % 250 + 1}/16")
        lab.netd("wait")
    assert lab.netd("diff").stdout.startswith("in sync")
    assert len(lab.run("ip", "-j", "netns").json) == count + 2
    assert ping.lost == 0
    assert before.items() <= indexes(lab, "web", "db").items()


def test_a_restart_loses_no_packet_and_makes_no_link_anew(lab: Machine) -> None:
    before = indexes(lab, "web", "db")
    with Ping(lab, "10.3.0.11", ns="web") as ping:
        for _ in range(3):
            lab.run("systemctl", "restart", "netd")
    assert ping.sent > 20
    assert (ping.lost, indexes(lab, "web", "db")) == (0, before)


def newer(machine: Machine, package: Path) -> None:
    """The same package with a higher version, in and outside, at /root/newer.deb."""
    machine.sh(f"""
        cd /root
        dpkg-deb -R /package/{package.name} tree
        sed -i 's/^Version: .*/Version: {NEXT}/' tree/DEBIAN/control
        sed -i 's/^__version__ = .*/__version__ = "{NEXT}"/' $(find tree -path '*/netd/__init__.py')
        dpkg-deb --root-owner-group -Znone -b tree newer.deb
    """)  # fmt: skip


def test_an_upgrade_of_the_package_loses_no_packet_and_makes_no_link_anew(lab: Machine, package: Path) -> None:
    newer(lab, package)
    before, old = indexes(lab, "web", "db"), main_pid(lab)
    with Ping(lab, "10.3.0.11", ns="web") as ping:
        lab.run("apt-get", "install", "-y", "/root/newer.deb")
    assert lab.netd("--version").stdout.strip() == f"netd {NEXT}"
    assert main_pid(lab) not in (old, "0"), "the new version runs"
    assert lab.run("systemctl", "is-active", "netd").stdout.strip() == "active"
    assert ping.sent > 20
    assert (ping.lost, indexes(lab, "web", "db")) == (0, before)


def test_a_stopped_daemon_stays_stopped_over_an_upgrade(lab: Machine, package: Path) -> None:
    newer(lab, package)
    lab.run("systemctl", "disable", "--now", "netd")
    lab.run("apt-get", "install", "-y", "/root/newer.deb")
    assert lab.show("netd", "ActiveState") == "inactive"
    assert lab.run("systemctl", "is-enabled", "netd", check=1).stdout.strip() == "disabled"


def test_removing_the_package_leaves_the_network_and_the_files(lab: Machine) -> None:
    before = indexes(lab, "web", "db")
    with Ping(lab, "10.3.0.11", ns="web") as ping:
        lab.run("apt-get", "purge", "-y", "netd")
    assert (ping.lost, indexes(lab, "web", "db")) == (0, before)
    assert lab.run("ls", "/etc/netd").stdout.split() == ["lab.toml"]
    assert lab.run("systemctl", "status", "netd", check=None).returncode == 4, "systemd does not know the unit"
    left = lab.sh("find /etc /usr /opt /var/lib -xdev -regex '.*[^a-z]netd\\([^a-z].*\\)?'").stdout.split()
    assert [path for path in left if not path.startswith(("/etc/netd", "/var/lib/dpkg/"))] == []


def test_netd_down_before_the_removal_takes_the_network_away(lab: Machine) -> None:
    lab.sh("systemctl stop netd && netd down && apt-get remove -y netd")
    assert lab.show("netd", "LoadState") == "not-found", "not masked: 'make install' may follow"
    assert lab.run("ip", "-j", "netns").json == []
    assert {link["ifname"] for link in lab.run("ip", "-j", "link").json} == {"lo"}
