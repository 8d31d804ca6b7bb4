"""Where containers are, or why not: a server that speaks as Docker does, files as Podman has them, real processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from netd.containers import docker, podman
from netd.containers.runtime import NO_CONTAINER, NOT_RUNNING, ON_THE_HOST, ContainerRuntime
from netd.kernel import inotify
from netd.model.attach import AttachTarget
from tests.conftest import need_root
from tests.support.containers import Docker, number
from tests.support.process import child_of, until

ID = "c0ffee" * 10 + "c0de"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: the path of a socket has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="box") as path:
        yield Path(path)


@pytest.fixture
def engine(folder: Path) -> Iterator[Docker]:
    engine = Docker(folder)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def processes() -> Iterator[Callable[..., int]]:
    """Starts the first process of a container, as an engine's helper does: with the container's number as argument."""
    need_root()
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str = "conmon", *unshare: str) -> int:
        words = ["unshare", *(unshare or ("-n",)), "sleep", "1000"]
        started.append(subprocess.Popen(["sh", "-c", '"$@" & wait', name, *words]))
        pid = until(lambda: child_of(started[-1].pid), "it has started")
        own = os.stat("/proc/self/ns/net").st_ino
        if unshare in ((), ("-n",)):
            until(lambda: os.stat(f"/proc/{pid}/ns/net").st_ino != own, "it has a network of its own")
        return pid

    yield start
    for each in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child_of(each.pid), 9)
        each.kill()
        each.wait()


class Followed:
    """An engine that is followed; ``told`` are the names that it told of."""

    def __init__(self, engine: ContainerRuntime, *names: str) -> None:
        self.engine = engine
        self.told: list[str] = []
        engine.start(self.told.append)
        engine.follow(set(names))

    def says(self, name: str, place: AttachTarget) -> None:
        until(lambda: self.engine.locate(name) == place, f"{name} is at {place}, not {self.engine.locate(name)}")


def has_ended(engine: ContainerRuntime) -> bool:
    """Whether nothing follows the containers any more."""
    return engine._thread is None


@pytest.fixture
def followed() -> Iterator[Callable[..., Followed]]:
    engines: list[ContainerRuntime] = []

    def follow(engine: ContainerRuntime, *names: str) -> Followed:
        engines.append(engine)
        return Followed(engine, *names)

    yield follow
    for engine in engines:
        engine.close()
        until(partial(has_ended, engine), "the thread has ended")


def at(pid: int) -> AttachTarget:
    return AttachTarget(f"pid:{pid}", NOT_RUNNING)


# Docker


def test_docker_tells_where_a_container_is_or_why_not(
    engine: Docker, folder: Path, processes: Callable[..., int]
) -> None:
    pid = processes()
    engine.containers = {"web": pid, "stopped": 0, "host": processes("conmon", "-m")}
    asked = docker.Docker(str(folder))
    assert asked.locate("web") == at(pid)
    assert asked.locate(number("web")[:12]) == at(pid)
    assert asked.locate("stopped") == AttachTarget("", NOT_RUNNING)
    assert asked.locate("nobody") == AttachTarget("", NO_CONTAINER)
    assert asked.locate("host") == AttachTarget("", ON_THE_HOST)


def test_docker_that_is_away_hangs_or_talks_nonsense_is_said(
    engine: Docker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "PATIENCE", 0.1)
    engine.broken = True
    assert docker.Docker(str(folder)).locate("web") == AttachTarget("", "Docker answers with status 500")
    engine.broken = False
    engine.answering.clear()
    engine.asked.clear()
    hanging = docker.Docker(str(folder))
    assert {hanging.locate(name) for name in ("web", "db", "cache")} == {AttachTarget("", docker.SILENT)}
    assert len(engine.asked) == 1, "one patience is enough"
    engine.stop()
    assert docker.Docker(str(folder)).locate("web") == AttachTarget("", docker.NOT_THERE)


def test_docker_is_followed_from_start_to_start(
    engine: Docker, folder: Path, processes: Callable[..., int], followed: Callable[..., Followed]
) -> None:
    watch = followed(docker.Docker(str(folder)), "web", "db")
    watch.says("web", AttachTarget("", NO_CONTAINER))
    for _ in range(3):
        pid = processes()
        engine.put("web", pid)
        watch.says("web", at(pid))
        engine.put("web", 0)
        watch.says("web", AttachTarget("", NOT_RUNNING))
    engine.containers["db"] = engine.containers.pop("web")
    engine.tell("rename", "db", oldName="/web")
    watch.says("web", AttachTarget("", NO_CONTAINER))
    watch.says("db", AttachTarget("", NOT_RUNNING))
    assert set(watch.told) == {"web", "db"}


def test_docker_is_asked_only_about_what_happened_to_a_container_that_matters(
    engine: Docker, folder: Path, followed: Callable[..., Followed]
) -> None:
    engine.containers = {"web": 0, "other": 0}
    watch = followed(docker.Docker(str(folder)), "web")
    watch.says("web", AttachTarget("", NOT_RUNNING))
    for action in ("start", "exec_create", "die"):
        engine.tell(action, "other")
    engine.tell("exec_start", "web")
    del engine.containers["web"]
    engine.tell("destroy", "web")
    watch.says("web", AttachTarget("", NO_CONTAINER))
    assert len(engine.times("/containers/web")) == 2
    assert not engine.times("/containers/other")


def test_a_container_whose_process_ends_is_away_before_docker_says_so(
    engine: Docker, folder: Path, processes: Callable[..., int], followed: Callable[..., Followed]
) -> None:
    pid = processes()
    engine.containers = {"web": pid}
    watch = followed(docker.Docker(str(folder)), "web")
    watch.says("web", at(pid))
    engine.answering.clear()
    os.kill(pid, 9)
    watch.says("web", AttachTarget("", NOT_RUNNING))


def test_containers_outlive_docker_and_are_looked_at_when_it_is_back(
    engine: Docker, folder: Path, processes: Callable[..., int], followed: Callable[..., Followed]
) -> None:
    first, second = processes(), processes()
    engine.containers = {"web": first, "db": 0}
    watch = followed(docker.Docker(str(folder)), "web", "db")
    watch.says("web", at(first))
    engine.stop()
    watch.says("db", AttachTarget("", docker.NOT_THERE))
    watch.says("web", AttachTarget(f"pid:{first}", docker.NOT_THERE))
    engine.containers["db"] = second
    engine.start()
    watch.says("db", at(second))
    watch.says("web", at(first))


@pytest.mark.parametrize("fault", ["broken", "curt"])
def test_docker_that_refuses_or_hangs_up_is_asked_less_and_less_often(
    engine: Docker, folder: Path, followed: Callable[..., Followed], fault: str
) -> None:
    setattr(engine, fault, True)
    followed(docker.Docker(str(folder)), "web")
    times = until(lambda: engine.times("/events")[:4] if len(engine.times("/events")) >= 4 else [], "it asks again")
    assert times[3] - times[0] >= docker.RETRY_FIRST * (2 + 4 + 8)


def test_docker_that_starts_slowly_is_waited_for(
    engine: Docker,
    folder: Path,
    followed: Callable[..., Followed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker, "PATIENCE", 0.1)
    engine.answering.clear()
    watch = followed(docker.Docker(str(folder)), "web")
    watch.says("web", AttachTarget("", docker.SILENT))
    assert len(engine.asked) == 1
    engine.answering.set()
    watch.says("web", AttachTarget("", NO_CONTAINER))


def test_what_is_no_longer_wanted_is_no_longer_listened_for(
    engine: Docker, folder: Path, followed: Callable[..., Followed]
) -> None:
    watch = followed(docker.Docker(str(folder)), "web")
    until(engine.hears, "it listens")
    watch.engine.follow(set())
    until(lambda: watch.engine._thread is None, "the thread has ended")
    watch.engine.follow({"db"})
    watch.says("db", AttachTarget("", NO_CONTAINER))


def test_a_thread_that_stumbles_says_so_and_goes_on(
    engine: Docker, folder: Path, followed: Callable[..., Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inotify.Inotify

    def exhausted() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(docker, "Inotify", exhausted)
    monkeypatch.setattr("netd.containers.runtime.PAUSE", 0.1)
    watch = followed(docker.Docker(str(folder)), "web")
    watch.says("web", AttachTarget("", "Docker cannot be watched: [Errno 24] Too many open files"))
    monkeypatch.setattr(docker, "Inotify", real)
    watch.says("web", AttachTarget("", NO_CONTAINER))


# Podman


class Storage:
    """The folders of Podman; ``start`` writes what its runtime writes."""

    def __init__(self, folder: Path) -> None:
        self.graph, self.running = folder / "graph", folder / "run"
        self.engine = podman.Podman(str(self.graph), str(self.running))

    def list(self, **names: str) -> None:
        """{name: number} of all containers."""
        path = self.graph / "overlay-containers/containers.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(".tmp-containers.json")
        draft.write_text(json.dumps([{"id": each, "names": [name]} for name, each in names.items()]))
        draft.rename(path)

    def start(self, pid: int, each: str = ID) -> None:
        path = self.running / f"overlay-containers/{each}/userdata/pidfile"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(pid))


@pytest.fixture
def storage(folder: Path) -> Storage:
    return Storage(folder)


def test_podman_s_files_tell_where_a_container_is(storage: Storage, processes: Callable[..., int]) -> None:
    assert storage.engine.ask("web") == AttachTarget("", NO_CONTAINER)
    storage.list(web=ID)
    assert storage.engine.ask("web") == AttachTarget("", NOT_RUNNING)
    pid = processes(ID)
    storage.start(pid)
    assert storage.engine.ask("web") == storage.engine.ask(ID[:12]) == at(pid)
    storage.start(processes(ID, "-m"))
    assert storage.engine.ask("web") == AttachTarget("", ON_THE_HOST)


def test_a_process_that_has_the_number_of_an_earlier_one_is_no_container(
    storage: Storage, processes: Callable[..., int]
) -> None:
    storage.list(web=ID)
    storage.start(processes("another"))
    assert storage.engine.ask("web") == AttachTarget("", NOT_RUNNING)


def test_podman_is_followed_from_its_first_container_on(
    storage: Storage, processes: Callable[..., int], followed: Callable[..., Followed]
) -> None:
    watch = followed(storage.engine, "web")
    watch.says("web", AttachTarget("", NO_CONTAINER))
    storage.list(other="123", web=ID)
    watch.says("web", AttachTarget("", NOT_RUNNING))
    for _ in range(3):
        pid = processes(ID)
        storage.start(pid)
        watch.says("web", at(pid))
        os.kill(pid, 9)
        watch.says("web", AttachTarget("", NOT_RUNNING))
    storage.list(other=ID)
    watch.says("web", AttachTarget("", NO_CONTAINER))


def test_a_directory_of_podman_that_comes_while_it_is_looked_for_is_followed(
    storage: Storage, processes: Callable[..., int], followed: Callable[..., Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.graph.mkdir()
    lists, real = storage.graph / "overlay-containers", podman.driver_directories

    def late(root: str) -> set[str]:
        found = real(root)
        lists.mkdir(exist_ok=True)
        return found

    monkeypatch.setattr(podman, "driver_directories", late)
    watch = followed(storage.engine, "web")
    watch.says("web", AttachTarget("", NO_CONTAINER))
    storage.list(web=ID)
    watch.says("web", AttachTarget("", NOT_RUNNING))


def test_podman_s_storage_is_where_its_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "storage.conf"
    monkeypatch.setattr(podman, "SETTINGS", (str(tmp_path / "none.conf"), str(settings)))
    assert podman.roots() == ("/var/lib/containers/storage", "/run/containers/storage")
    settings.write_text('[storage]\ndriver = "overlay"\ngraphroot = "/srv/containers/"\n')
    assert podman.roots() == ("/srv/containers", "/run/containers/storage")
    settings.write_text("no toml")
    assert podman.roots() == ("/var/lib/containers/storage", "/run/containers/storage")
