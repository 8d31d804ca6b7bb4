"""Containers of the real Docker and Podman on netd's bridges, on two hosts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.rig.machine import Machine, cable
from tests.support.process import until

#: Two containers of Docker (the second one in no network of Docker's), one of Podman, and a namespace of netd's.
MEMBERS = ("one", "two", "pod", "plain")
SOURCES = {"one": "docker:one", "two": "docker:two", "pod": "podman:pod"}

SEGMENT = """
[bridge.br-box]
mtu = 1450
forward = true

[interface.ul0]
addresses = ["192.0.2.{host}/24"]
up = true

[vxlan.vx-box]
vni = 13
dev = "ul0"
local = "192.0.2.{host}"
remote = "192.0.2.{other}"
master = "br-box"
"""

MEMBER = """
[namespace.{name}.veth.lab0]
addresses = ["10.13.{host}.{number}/16", "fd00:13::{host}:{number}/64"]
nodad = true
mtu = 1450
peer = {{ name = "box-{name}", master = "br-box", mtu = 1450 }}
"""

ATTACHED = """
[namespace.{name}]
attach = "{source}"
ipv6 = true
"""


def lab(host: int, other: int) -> str:
    """The files of one host."""
    text = SEGMENT.format(host=host, other=other)
    for number, name in enumerate(MEMBERS, 1):
        if name in SOURCES:
            text += ATTACHED.format(name=name, source=SOURCES[name])
        text += MEMBER.format(name=name, host=host, number=number)
    return text


def addresses(host: int, name: str) -> list[str]:
    number = MEMBERS.index(name) + 1
    return [f"10.13.{host}.{number}", f"fd00:13::{host}:{number}"]


def engines(machine: Machine) -> None:
    """Docker runs, and both engines have something to run."""
    machine.write("/etc/containers/containers.conf", '[containers]\npids_limit = 0\n[engine]\nruntime = "runc"\n')
    machine.run("systemctl", "start", "docker")
    machine.sh("for each in bin dev etc proc run sys tmp; do mkdir -p /root/box/$each; done")
    machine.sh("cp $(command -v busybox) /root/box/bin/; tar -C /root/box -c . | docker import - box >/dev/null")


def run_containers(machine: Machine) -> None:
    sleep = ("/bin/busybox", "sleep", "1000000")
    run = ("docker", "run", "-d", "--restart=always", "--stop-timeout=1")
    machine.run(*run, "--name=one", "box", *sleep)
    machine.run(*run, "--name=two", "--network=none", "box", *sleep)
    machine.run("podman", "run", "-d", "--name=pod", "--rootfs", "/root/box:O", *sleep)


def is_answered(machine: Machine, name: str, argv: tuple[str, ...]) -> bool:
    return machine.run(*argv, ns=name, check=None).returncode == 0


def answers(machine: Machine, name: str, targets: Iterable[str]) -> None:
    for target in targets:
        argv = ("ping", "-n", "-c1", "-W1", target)
        until(partial(is_answered, machine, name, argv), f"{target} answers {name}")


def reason(machine: Machine, name: str) -> str:
    rows = machine.netd("status", "--json", check=None).json["objects"]
    return next(str(row["reason"]) for row in rows if row["object"] == f"namespace/{name}")


def waits(machine: Machine, name: str, why: str) -> None:
    wanted = f"waits for {SOURCES[name]}: {why}"
    until(lambda: reason(machine, name) == wanted, f"{name} {wanted}")


def row(machine: Machine, name: str) -> Mapping[str, Any]:
    rows = machine.netd("status", "--json", check=None).json["objects"]
    return next(each for each in rows if each["object"] == name)


def built(machine: Machine, name: str, host: int) -> float:
    """When the last address of a container was put on, in seconds."""
    entries = machine.journal("-u", "netd", f"NETD_OBJECT={name}:address/lab0/{addresses(host, name)[1]}/64")
    made = [entry for entry in entries if entry.get("NETD_ACTION") == "create"]
    return int(made[-1]["__REALTIME_TIMESTAMP"]) / 1e6


def docker_started(machine: Machine, name: str) -> float:
    """When Docker says that it started, in seconds."""
    said = machine.run("docker", "inspect", "-f", "{{.State.StartedAt}}", name).stdout.strip()
    return datetime.fromisoformat(said[:26] + "+00:00").timestamp()


def test_containers_and_a_namespace_reach_each_other_and_another_host_s(
    neighbour: Callable[[str], Machine], record_property: Callable[[str, object], None]
) -> None:
    machines = {1: neighbour("first"), 2: neighbour("second")}
    first = machines[1]
    cable(first, "ul0", machines[2], "ul0")
    for host, machine in machines.items():
        machine.write("/etc/netd/lab.toml", lab(host, 3 - host))
        engines(machine)
        waits(machine, "one", "there is no such container")
        waits(machine, "pod", "there is no such container")
        run_containers(machine)
    for (host, name), (far, target) in itertools.permutations(itertools.product(machines, MEMBERS), 2):
        answers(machines[host], name, addresses(far, target))
    for each in (*SOURCES, "plain"):
        assert "lab0" in first.netd("exec", each, "ip", "link").stdout
        assert each in first.run("ip", "netns").stdout

    took = []
    for _ in range(10):
        first.run("docker", "restart", "-t0", "one")
        answers(first, "one", [*addresses(2, "one"), *addresses(1, "plain")])
        answers(machines[2], "two", addresses(1, "one"))
        took.append(built(first, "one", 1) - docker_started(first, "one"))
    record_property("docker restart, ms", [round(each * 1000) for each in took])
    print("docker restart: from the start of the container to its last address, ms:", [round(t * 1000) for t in took])
    for _ in range(3):
        first.run("podman", "restart", "-t0", "pod")
        answers(first, "pod", [*addresses(2, "two"), *addresses(1, "one")])
    for each in SOURCES:
        assert row(first, f"namespace/{each}")["state"] == "ok"
        assert row(first, f"namespace/{each}")["repairs"] == 0
    assert first.netd("diff").stdout.startswith("in sync")


def test_netd_waits_for_docker_and_does_not_start_it(neighbour: Callable[[str], Machine]) -> None:
    machine = neighbour("alone")
    machine.sh("ip link add ul0 type veth peer name ul1")
    machine.write("/etc/netd/lab.toml", lab(1, 2))
    waits(machine, "one", "Docker is not running")
    assert machine.show("docker", "ActiveState") == "inactive"
    engines(machine)
    run_containers(machine)
    answers(machine, "one", addresses(1, "two"))

    machine.run("systemctl", "restart", "docker")
    answers(machine, "plain", [*addresses(1, "one"), *addresses(1, "two"), *addresses(1, "pod")])

    machine.run("systemctl", "stop", "docker")
    waits(machine, "one", "Docker is not running")
    # What asks once more must not do it either.
    machine.netd("diff", check=None)
    machine.run("systemctl", "restart", "netd")
    waits(machine, "one", "Docker is not running")
    assert machine.show("docker.socket", "ActiveState") == "active", "whoever connects would start Docker"
    assert machine.show("docker", "ActiveState") == "inactive"
    answers(machine, "plain", addresses(1, "pod"))

    machine.run("systemctl", "start", "docker")
    answers(machine, "plain", [*addresses(1, "one"), *addresses(1, "two"), *addresses(1, "pod")])

    machine.run("systemctl", "kill", "-s", "KILL", "docker")
    answers(machine, "plain", [*addresses(1, "one"), *addresses(1, "two"), *addresses(1, "pod")])
    assert machine.show("netd", "NRestarts") == "0"

    machine.run("systemctl", "enable", "docker")
    machine.reboot(crash=True)
    answers(machine, "plain", [*addresses(1, "one"), *addresses(1, "two")])
    waits(machine, "pod", "the container is not running")
    machine.run("podman", "start", "pod")
    answers(machine, "plain", addresses(1, "pod"))


def test_what_the_engines_made_is_as_it_was_when_the_file_is_gone(neighbour: Callable[[str], Machine]) -> None:
    machine = neighbour("alone")
    machine.sh("ip link add ul0 type veth peer name ul1")
    engines(machine)
    run_containers(machine)

    def theirs() -> Any:
        found = [(source.split(":")[0], name) for name, source in SOURCES.items()]
        pids = [machine.run(each, "inspect", "-f", "{{.State.Pid}}", name).stdout.strip() for each, name in found]
        look = "ip -o addr; ip route; sysctl net.ipv6.conf.all.disable_ipv6"
        inside = [machine.run("nsenter", "-t", pid, "-n", "sh", "-c", look).stdout for pid in pids]
        return inside, machine.run("ip", "netns").stdout.split(), machine.run("ls", "/run/netns").stdout.split()

    until(lambda: all("tentative" not in text for text in theirs()[0]), "their addresses stand")
    before = theirs()
    machine.write("/etc/netd/lab.toml", lab(1, 2))
    answers(machine, "plain", [*addresses(1, "one"), *addresses(1, "two"), *addresses(1, "pod")])
    machine.run("rm", "/etc/netd/lab.toml")
    until(lambda: not machine.netd("status", "--json").json["objects"], "nothing is declared")
    until(lambda: "box-one" not in machine.run("ip", "link").stdout, "netd's links are gone")
    until(lambda: theirs() == before, f"all is as before: {before}")


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_name_is_the_container_s_that_has_it_now(neighbour: Callable[[str], Machine], engine: str) -> None:
    machine = neighbour("alone")
    engines(machine)
    image = ["box"] if engine == "docker" else ["--rootfs", "/root/box:O"]

    def run(name: str, *options: str) -> None:
        machine.run(engine, "run", "-d", f"--name={name}", *options, *image, "/bin/busybox", "sleep", "1000000")

    machine.write(
        "/etc/netd/lab.toml",
        f"""
[namespace.box]
attach = "{engine}:web"

[veth.to-box]
addresses = ["10.13.0.1/24"]
peer = {{ name = "lab0", namespace = "box", addresses = ["10.13.0.2/24"] }}
""",
    )

    def pings() -> bool:
        return machine.run("ping", "-c1", "-W1", "10.13.0.2", check=None).returncode == 0

    def said(why: str) -> None:
        until(lambda: reason(machine, "box") == f"waits for {engine}:web: {why}", f"it says {why}")

    run("web", "--network=host")
    said("the container shares the network of the host")
    machine.run(engine, "rename", "web", "other")
    said("there is no such container")
    run("web", "--network=none")
    until(pings, "it is plugged in")
    machine.run(engine, "stop", "-t0", "web")
    said("the container is not running")
    machine.run(engine, "start", "web")
    until(pings, "it is plugged in again")
    machine.run(engine, "rm", "-f", "web")
    said("there is no such container")
    run("web")
    until(pings, "another one of that name is plugged in")
