"""make install and make uninstall, on a machine that never saw netd."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.rig.labs import LAB, indexes
from tests.rig.machine import Machine
from tests.rig.test_daemon import newer
from tests.support.host import ROOT


def make(target: str, where: Path) -> None:
    """Into a folder, or onto the disk of a machine that is down."""
    # All tests have one copy of the sources, and what is built lies in there.
    with open(ROOT / "Makefile", "rb") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        subprocess.run(["make", "--silent", target, f"DESTDIR={where}"], cwd=ROOT, check=True, capture_output=True)


def test_what_make_installs_runs_and_what_it_uninstalls_is_gone(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine("made")
    make("install", machine.disk)
    machine.start()
    machine.sh("systemd-sysusers && systemd-tmpfiles --create netd.conf && systemctl enable --now netd")
    machine.write("/etc/netd/lab.toml", LAB)
    machine.netd("wait", "web:address/eth0/10.3.0.10/24", "db:address/eth0/10.3.0.11/24")
    machine.run("ping", "-c", "1", "-W", "5", "10.3.0.11", ns="web")
    machine.run("systemctl", "reload", "netd")
    assert machine.run("systemd-analyze", "verify", "/usr/local/lib/systemd/system/netd.service").text == ""
    assert "netd.toml - the configuration files in /etc/netd" in machine.sh("man netd.toml | cat").stdout
    assert machine.run("ip", "route", "show", "proto", "netd", ns="web").stdout.startswith("default via 10.3.0.1")
    machine.power_off()
    make("uninstall", machine.disk)
    machine.start()
    left = machine.sh("find /etc /usr /opt -xdev -regex '.*[^a-z]netd\\([^a-z].*\\)?'").stdout.split()
    # The link that enables the unit goes with 'systemctl disable', which make calls on a running machine.
    allowed = ("/etc/netd", "/etc/systemd/system/multi-user.target.wants")
    assert [path for path in left if not path.startswith(allowed)] == []


def install_over_the_package(machine: Machine) -> None:
    """What 'make install' has put into /root/made, and what it does at its end where there is no DESTDIR."""
    machine.sh("cp -a /root/made/usr /root/made/etc /; systemctl daemon-reload; systemctl try-restart netd")
    assert stands(machine) == ("/usr/local/lib/systemd/system/netd.service", "enabled")


def uninstall(machine: Machine) -> None:
    """'make uninstall' on the machine itself, which has no make."""
    shutil.copy("/usr/bin/make", machine.root / "usr/bin/make")
    shutil.copy(ROOT / "Makefile", machine.root / "root/Makefile")
    machine.sh("cd /root && make uninstall")


def stands(machine: Machine) -> tuple[str, str]:
    """Which unit the daemon that runs is of, and whether it is enabled; each netd has ip(8) know its name."""
    machine.run("ip", "route", "show", "proto", "netd")
    assert machine.run("systemctl", "is-active", "netd").stdout.strip() == "active"
    unit = machine.show("netd", "FragmentPath")
    program = "/usr/local/lib/netd/" if unit.startswith("/usr/local/") else "/usr/lib/netd/"
    assert program in machine.sh(f"tr '\\0' ' ' </proc/{machine.show('netd', 'MainPID')}/cmdline").stdout
    return unit, machine.run("systemctl", "is-enabled", "netd").stdout.strip()


def test_package_and_make_install_may_be_on_one_machine(machine: Machine, tmp_path: Path) -> None:
    make("install", tmp_path / "made")
    shutil.copytree(tmp_path / "made", machine.root / "root/made", symlinks=True)
    machine.write("/etc/netd/lab.toml", LAB)
    machine.netd("reload")
    links, (packages, _) = indexes(machine, "web", "db"), stands(machine)
    install_over_the_package(machine)
    uninstall(machine)
    assert stands(machine) == (packages, "enabled"), "the package's takes over"

    install_over_the_package(machine)
    pid = machine.show("netd", "MainPID")
    machine.run("apt-get", "remove", "-y", "netd")
    assert machine.show("netd", "MainPID") == pid, "it is not stopped"
    assert indexes(machine, "web", "db") == links
    machine.reboot()
    own = stands(machine)
    assert own == ("/usr/local/lib/systemd/system/netd.service", "enabled")
    uninstall(machine)
    assert machine.show("netd", "LoadState") == "not-found"
    machine.sh("apt-get install -y /package/netd_*.deb")
    assert stands(machine) == (packages, "enabled")

    install_over_the_package(machine)
    machine.run("apt-get", "purge", "-y", "netd")
    install_over_the_package(machine)
    assert stands(machine) == own
    uninstall(machine)
    assert machine.run("systemctl", "is-enabled", "netd", check=None).returncode != 0


def test_the_directory_is_made_once_and_then_left_alone(fresh: Machine, package: Path) -> None:
    fresh.sh("apt-get install -y /package/netd_*.deb")
    assert fresh.run("stat", "-c", "%a %U", "/etc/netd").stdout.strip() == "755 root"
    fresh.write("/etc/netd/lab.toml", LAB)
    fresh.netd("reload")
    fresh.sh("mv /etc/netd /etc/away; apt-get install -y --reinstall /package/netd_*.deb")
    newer(fresh, package)
    fresh.run("apt-get", "install", "-y", "/root/newer.deb")
    assert fresh.run("ip", "netns", "exec", "web", "ip", "link", "show", "eth0").stdout, "nothing is taken away"
    assert "/etc/netd cannot be read" in fresh.netd("status", check=2).stdout
    fresh.sh("mv /etc/away /etc/netd; rm /etc/netd/lab.toml; netd reload; apt-get purge -y netd; ls /etc/netd")


def test_the_package_has_no_error_of_debians_policy(package: Path) -> None:
    done = subprocess.run(
        ["lintian", "--fail-on", "error", "--allow-root", package], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    files = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True).stdout
    for completion in ("share/bash-completion/completions/netd", "share/zsh/vendor-completions/_netd"):
        assert f" ./usr/{completion}\n" in files
