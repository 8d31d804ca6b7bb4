"""make install and make uninstall, on a machine that never saw netd."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.host import ROOT
from tests.rig.labs import LAB
from tests.rig.machine import Machine


def make(target: str, machine: Machine) -> None:
    """Onto the disk of a machine that is down."""
    subprocess.run(["make", "--silent", target, f"DESTDIR={machine.disk}"], cwd=ROOT, check=True, capture_output=True)


def test_what_make_installs_runs_and_what_it_uninstalls_is_gone(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine("made")
    make("install", machine)
    machine.start()
    machine.sh("systemd-sysusers && systemd-tmpfiles --create netd.conf && systemctl enable --now netd")
    machine.write("/etc/netd/lab.toml", LAB)
    machine.netd("wait", "web:address/eth0/10.3.0.10/24", "db:address/eth0/10.3.0.11/24")
    machine.run("ping", "-c", "1", "-W", "5", "10.3.0.11", ns="web")
    machine.run("systemctl", "reload", "netd")
    assert machine.run("systemd-analyze", "verify", "/usr/local/lib/systemd/system/netd.service").text == ""
    assert "netd.toml - the files in /etc/netd" in machine.sh("man netd.toml | cat").stdout
    assert machine.run("ip", "route", "show", "proto", "netd", ns="web").stdout.startswith("default via 10.3.0.1")
    machine.power_off()
    make("uninstall", machine)
    machine.start()
    left = machine.sh("find /etc /usr /opt -xdev -regex '.*[^a-z]netd\\([^a-z].*\\)?'").stdout.split()
    # The link that enables the unit goes with 'systemctl disable', which make calls on a running machine.
    allowed = ("/etc/netd", "/etc/systemd/system/multi-user.target.wants")
    assert [path for path in left if not path.startswith(allowed)] == []
