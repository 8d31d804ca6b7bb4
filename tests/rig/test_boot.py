"""The lab stands before whoever waits for it, at every boot, whatever ended the one before."""

from __future__ import annotations

import pytest

from tests.rig.labs import LAB
from tests.rig.machine import Machine
from tests.support.process import until

#: Writes down the boot in which it found the lab, once it was let start.
WITNESS = """
[Unit]
Requires=netd-wait.service
After=netd-wait.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'ip netns exec web ping -c 1 -W 1 10.3.0.11; ping -c 1 -W 1 10.3.0.10; \
    cat /proc/sys/kernel/random/boot_id >>/var/log/stood'
[Install]
WantedBy=multi-user.target
"""
TIMES = 10


@pytest.mark.parametrize("crash", [False, True], ids=["reboots", "crashes"])
def test_the_lab_is_up_before_what_waits_for_it_after_ten(fresh: Machine, crash: bool) -> None:
    machine = fresh
    machine.sh("apt-get install -y /package/netd_*.deb")
    machine.write("/etc/netd/lab.toml", LAB)
    machine.sh("cp /usr/share/doc/netd/examples/12-service.toml /etc/netd/")
    machine.sh("cp /usr/share/doc/netd/examples/12-service.service /etc/systemd/system/site.service")
    machine.write("/etc/systemd/system/witness.service", WITNESS)
    machine.run("systemctl", "enable", "witness", "site")
    boots = set()
    for _ in range(TIMES):
        machine.reboot(crash=crash)
        boot = machine.run("cat", "/proc/sys/kernel/random/boot_id").stdout.strip()
        boots.add(boot)
        assert machine.run("tail", "-n", "1", "/var/log/stood").stdout.strip() == boot
        assert machine.run("systemctl", "is-active", "witness", "site", "netd").stdout.split() == ["active"] * 3
        serves(machine)
    assert len(boots) == TIMES
    assert machine.run("wc", "-l", "/var/log/stood").stdout.split()[0] == str(TIMES)
    assert machine.show("netd", "NRestarts") == "0"


def serves(machine: Machine) -> None:
    """The web server answers from its namespace, and is nowhere else."""
    get = "import urllib.request as r; print(r.urlopen('http://10.12.0.2/', timeout=5).status)"
    until(lambda: machine.run("python3", "-c", get).stdout.strip() == "200", "the server in the namespace answers")
    pid = machine.show("site", "MainPID")
    there = machine.run("stat", "-L", "-c", "%i", f"/proc/{pid}/ns/net", "/run/netns/site").stdout.split()
    assert there[0] == there[1]
