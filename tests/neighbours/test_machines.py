"""That the machines are what the tests beside it take them for."""

from __future__ import annotations

from collections.abc import Callable

from tests.rig.machine import Machine, cable
from tests.support.process import until


def test_the_others_wait_until_they_are_started(neighbour: Callable[[str], Machine]) -> None:
    machine = neighbour("alone")
    assert machine.show("netd", "ActiveState") == "active"
    for unit in ("docker", "firewalld", "NetworkManager", "frr", "podman"):
        assert machine.show(unit, "ActiveState") == "inactive", unit


def test_docker_runs_a_container(neighbour: Callable[[str], Machine]) -> None:
    machine = neighbour("engine")
    machine.run("systemctl", "start", "docker")
    machine.sh("tar -C / -c bin/busybox usr/bin/busybox 2>/dev/null | docker import - box >/dev/null")
    assert (
        "hello" in machine.run("docker", "run", "--rm", "--network=none", "box", "/bin/busybox", "echo", "hello").stdout
    )


def test_a_cable_joins_two(neighbour: Callable[[str], Machine]) -> None:
    one, two = neighbour("one"), neighbour("two")
    cable(one, "ul0", two, "ul0")
    for machine, address in ((one, "10.77.0.1/24"), (two, "10.77.0.2/24")):
        machine.write("/etc/netd/port.toml", f'[interface.ul0]\naddresses = ["{address}"]\nup = true\n')
    until(lambda: one.run("ping", "-c1", "-W1", "10.77.0.2", check=None).returncode == 0, "the cable carries")
