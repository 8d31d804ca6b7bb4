"""Containers by name. The engine is a server that speaks as Docker does; tests/neighbours has the real ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.containers import Docker, end, start, start_podman
from tests.support.host import Host

LAB = """
[bridge.br0]
addresses = ["10.1.0.254/24", "fd01::254/64"]
nodad = true

[namespace.box]
attach = "docker:web"

[namespace.box.veth.lab0]
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true
peer = { name = "to-box", master = "br0" }
"""


@pytest.fixture
def engine(host: Host) -> Iterator[Docker]:
    engine = Docker(host.root / "run")
    engine.start()
    yield engine
    engine.stop()


def reason(host: Host) -> str:
    return next(str(each["reason"]) for each in host.status()["objects"] if each["object"] == "namespace/box")


def waits(host: Host, why: str) -> None:
    host.until(lambda: reason(host) == f"waits for docker:web: {why}", f"it says: {why}")


def test_a_container_is_built_into_at_each_of_its_starts_and_that_is_no_fight(host: Host, engine: Docker) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    waits(host, "there is no such container")
    for _ in range(12):
        process = start(host, engine)
        host.ping("10.1.0.1", "fd01::1")
        host.ping("10.1.0.254", ns="box")
        host.converged()
        end(engine, process)
        waits(host, "the container is not running")
        assert "box" not in host.namespaces()
    box = next(each for each in host.status()["objects"] if each["object"] == "namespace/box")
    assert (box["state"], box["repairs"]) == ("pending", 0)


def test_repairs_do_not_wait_for_an_engine_that_hangs(host: Host, engine: Docker) -> None:
    host.write("lab.toml", LAB)
    start(host, engine)
    host.daemon()
    host.ping("10.1.0.1")
    host.until(engine.hears, "netd listens")
    engine.answering.clear()
    engine.tell("start", "web")
    for _ in range(3):
        host.run("ip", "link", "del", "to-box")
        host.ping("10.1.0.1", "fd01::1")
    host.write("more.toml", '[namespace.late]\nattach = "docker:late"\n')
    host.until(lambda: host.state("namespace/late") == "pending", "a new one is waited for")
    engine.answering.set()
    start(host, engine, "late")
    host.until(lambda: host.state("namespace/late") == "ok", "it is there once the engine answers")


def test_a_container_stays_plugged_while_the_engine_and_netd_are_away(host: Host, engine: Docker) -> None:
    host.write("lab.toml", LAB)
    start(host, engine)
    daemon = host.daemon()
    host.ping("10.1.0.1")
    index = host.link("to-box")["ifindex"]
    engine.stop()
    host.run("ip", "-n", "box", "addr", "del", "10.1.0.1/24", "dev", "lab0")
    host.ping("10.1.0.1")
    engine.start()
    host.until(engine.hears, "netd listens again")
    daemon.stop()
    host.daemon()
    host.converged()
    host.ping("10.1.0.1", "fd01::1")
    assert host.link("to-box")["ifindex"] == index
    end(engine, host.processes[0])
    waits(host, "the container is not running")


def test_commands_know_containers_too(host: Host, engine: Docker) -> None:
    host.write("lab.toml", LAB)
    process = start(host, engine)
    assert host.netd("diff", check=2)
    host.apply()
    host.ping("10.1.0.1", "fd01::1")
    assert "lab0" in host.netd("exec", "box", "ip", "link").stdout
    assert not any(host.netd("diff", "--json").json[name] for name in ("changes", "pending", "troubles"))
    host.netd("down")
    assert host.names() == set() and host.namespaces() == set()
    host.apply()
    end(engine, process)
    pending = host.netd("apply", "--json").json["pending"]
    assert {"object": "namespace/box", "reason": "waits for docker:web: the container is not running"} in pending
    assert host.namespaces() == set(), "the name of a process that ended would be anybody's"
    engine.stop()
    pending = host.netd("diff", "--json").json["pending"]
    assert {"object": "namespace/box", "reason": "waits for docker:web: Docker is not running"} in pending


def test_the_name_of_a_container_that_ended_goes_with_its_file_too(host: Host, engine: Docker) -> None:
    host.write("lab.toml", LAB)
    process = start(host, engine)
    host.apply()
    end(engine, process)
    host.netd("down")
    assert host.namespaces() == set()


def test_a_container_of_podman_is_found_by_its_files(host: Host) -> None:
    host.write("lab.toml", LAB.replace("docker:web", "podman:web"))
    host.daemon()
    assert reason(host) == "waits for podman:web: there is no such container"
    start_podman(host, "web")
    host.ping("10.1.0.1", "fd01::1")
    host.ping("10.1.0.254", ns="box")
    host.converged()
