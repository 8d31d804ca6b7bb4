"""What an engine of containers says, and what users make the kernel say, stays with that one source."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netd.containers import docker, podman
from netd.model.attach import AttachTarget
from tests.attack.user import User
from tests.support.containers import Docker, end, number, start
from tests.support.host import Host

LAB = """
[bridge.br0]
addresses = ["10.1.0.254/24"]

[namespace.box]
attach = "docker:web"

[namespace.box.veth.lab0]
addresses = ["10.1.0.1/24"]
peer = { name = "to-box", master = "br0" }

[namespace.own.veth.eth0]
addresses = ["10.1.0.2/24"]
peer = { name = "to-own", master = "br0" }
"""
#: An abstract socket of which the name ends the line that /proc/net/unix has of it, and begins another.
HOSTILE_NAME = r"""
import socket, sys, time
held = []
for name in ("\0x\ny", "\0x\n1: 00000002 00000000 00010000 0001 01", "\0\n", "\0" + "\n" * 50, "\0\xff\n\x1b[2J"):
    one = socket.socket(socket.AF_UNIX)
    one.bind(name.encode("latin-1"))
    one.listen()
    held.append(one)
print("ready")
time.sleep(10000)
"""


@pytest.fixture
def engine(host: Host) -> Iterator[Docker]:
    engine = Docker(host.root / "run")
    engine.start()
    yield engine
    engine.stop()


def test_the_name_of_a_users_socket_keeps_nothing_from_being_built(host: Host, engine: Docker) -> None:
    host.write("lab.toml", LAB)
    start(host, engine)
    User(host).python(HOSTILE_NAME)
    assert "Traceback" not in host.netd("diff", check=None).text
    daemon = host.daemon()
    host.ping("10.1.0.1", "10.1.0.2")
    assert "Traceback" not in daemon.text()
    host.converged()


def test_a_daemon_keeps_its_containers_whatever_a_socket_is_called_when_the_engine_comes_back(
    host: Host, engine: Docker
) -> None:
    host.write("lab.toml", LAB)
    start(host, engine)
    host.daemon()
    host.ping("10.1.0.1")
    User(host).python(HOSTILE_NAME)
    index = host.link("to-box")["ifindex"]
    engine.stop()
    engine.start()
    host.until(engine.hears, "netd listens again")
    host.run("ip", "link", "set", "to-box", "nomaster")
    host.ping("10.1.0.1")
    assert host.link("to-box")["ifindex"] == index


#: What an engine can answer about a container that is none, or is more than a parser bears.
ANSWERS = {
    "deeply nested": b"[" * 100_000,
    "deep object": b'{"State":' * 60_000,
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "wrong types": b'{"State": {"Pid": "x", "Running": true}, "Name": "/web", "Id": "0"}',
    "a pid beyond all": b'{"State": {"Pid": 99999999999999999999999, "Running": true}, "Name": "/web", "Id": "0"}',
    "a pid with a path": b'{"State": {"Pid": "1/../1", "Running": true}, "Name": "/web", "Id": "0"}',
    "no text": b"\xff\xfe\0",
    "infinity": b'{"State": {"Pid": Infinity, "Running": true}, "Name": "/web", "Id": "0"}',
    "a surrogate": rb'{"State": {"Pid": "\ud800", "Running": true}, "Name": "/web", "Id": "0"}',
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_understood_is_said_of_that_container_and_the_last_place_is_kept(
    host: Host, engine: Docker, answer: bytes
) -> None:
    host.write("lab.toml", LAB)
    start(host, engine)
    daemon = host.daemon()
    host.ping("10.1.0.1", "10.1.0.2")
    index = host.link("to-box")["ifindex"]
    engine.answer = answer
    before = len(engine.times("/containers/web/json"))
    engine.tell("start", "web")
    host.until(lambda: len(engine.times("/containers/web/json")) > before, "it was asked again")
    host.run("ip", "link", "set", "to-box", "nomaster")
    host.ping("10.1.0.1")
    assert host.link("to-box")["ifindex"] == index
    assert "Traceback" not in daemon.text()
    assert host.netd("diff", check=None).returncode in (0, 2)


def test_commands_survive_an_answer_that_is_not_understood(host: Host, engine: Docker) -> None:
    host.write("lab.toml", LAB)
    engine.answer = b"[" * 100_000
    assert "Traceback" not in host.netd("diff", check=2).text
    assert "Traceback" not in host.netd("apply", check=None).text
    host.ping("10.1.0.2")


class Throwing(docker.Docker):
    """An engine of which one look-up throws."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("/nowhere")
        self.error: BaseException | None = error

    def ask(self, name: str) -> Any:
        if self.error is not None and name == "bad":
            raise self.error
        return AttachTarget(f"/{name}")


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), ValueError("x"), MemoryError(), OSError(5, "x"), KeyError("x"), RuntimeError("x")]
)
def test_what_a_look_up_throws_stays_with_its_container(error: BaseException) -> None:
    engine = Throwing(error)
    assert "cannot be parsed" in engine.locate("bad").waits_for
    assert engine.locate("good").path == "/good"


def test_a_short_name_is_never_the_beginning_of_anothers_number(host: Host, engine: Docker) -> None:
    """That container is gone; another one's number, which Docker takes for a name as well, begins so."""
    other = start(host, engine, "other")
    short, enough = number("other")[:4], number("other")[:12]
    host.write("lab.toml", f'[namespace.box]\nattach = "docker:{short}"\n')
    host.write("full.toml", f'[namespace.full]\nattach = "docker:{enough}"\n')
    host.daemon()
    host.until(lambda: host.state("namespace/full") == "ok", "twelve digits of a number are enough")
    assert host.state("namespace/box") == "pending"
    host.remove("full.toml")
    host.until(lambda: host.state("namespace/full") == "", "the long one is gone")
    host.write("both.toml", f'[namespace.box2]\nattach = "docker:{number("other")[:11]}"\n')
    host.until(lambda: host.state("namespace/box2") == "pending", "eleven are not")
    end(engine, other, "other")


def podman_storage(folder: Path, containers: list[dict[str, Any]]) -> podman.Podman:
    graph, running = folder / "graph", folder / "run"
    (graph / "overlay-containers").mkdir(parents=True)
    (graph / "overlay-containers" / "containers.json").write_text(json.dumps(containers))
    return podman.Podman(str(graph), str(running))


def test_podman_takes_twelve_digits_of_a_number_and_no_fewer(tmp_path: Path) -> None:
    one = podman_storage(tmp_path, [{"id": "db" + "0" * 62, "names": ["other"]}])
    assert one.ask("db").waits_for == "there is no such container"
    assert one.ask("db000000000").waits_for == "there is no such container"
    assert one.ask("db0000000000").waits_for == "the container is not running"
    assert one.ask("other").waits_for == "the container is not running"


@pytest.mark.parametrize("listed", [b"[" * 100_000, b"{}", b"7", b'[{"names": 7}]', b"[[]]", b'[{"id": 7}]', b"[null]"])
def test_a_list_of_podmans_that_is_not_understood_is_an_empty_one(tmp_path: Path, listed: bytes) -> None:
    one = podman_storage(tmp_path, [])
    (tmp_path / "graph/overlay-containers/containers.json").write_bytes(listed)
    assert one.locate("web").path == ""


def test_the_thread_of_an_engine_goes_on_whatever_its_round_throws() -> None:
    rounds: list[int] = []
    told: list[str] = []
    heard = threading.Event()

    class Restless(docker.Docker):
        def run(self) -> None:
            rounds.append(1)
            if len(rounds) == 1:
                self.put("web", AttachTarget("pid:1"))
                raise RecursionError("deep")
            while self.wanted():
                self.wait((), 0.05)

    engine = Restless("/nowhere")

    def tell(name: str) -> None:
        told.append(engine.locate(name).path)
        heard.set()

    call: Callable[[str], None] = tell
    engine.start(call)
    engine.follow({"web"})
    assert heard.wait(10)
    assert engine.locate("web").path == "pid:1", "the last place is kept"
    engine.close()
