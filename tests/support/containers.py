"""Containers without an engine, for pretend hosts: a server that speaks as Docker does, files as Podman has them."""

from __future__ import annotations

import contextlib
import json
import queue
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.host import Host
from tests.support.process import Process


class Docker:
    """Listens at ``folder``/docker.sock while it runs; ``containers`` are {name: process, 0 for a stopped one}."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "docker.sock"
        self.containers: dict[str, int] = {}
        #: Every request, and when it came.
        self.asked: list[tuple[float, str]] = []
        #: Answers are held back while this is not set.
        self.answering = threading.Event()
        self.answering.set()
        self.broken = False
        #: What it says of every container instead of the truth.
        self.answer: bytes | None = None
        #: It answers, and hangs up.
        self.curt = False
        self._events: list[tuple[float, dict[str, Any]]] = []
        self._listeners: list[queue.Queue[bytes | None]] = []
        self._server: Server | None = None

    def start(self) -> None:
        """Begins to listen."""
        self.socket.unlink(missing_ok=True)
        self._server = Server(str(self.socket), Handler)
        self._server.docker = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Hangs up on everyone."""
        if self._server is None:
            return
        self.answering.set()
        self._server.shutdown()
        self.socket.unlink(missing_ok=True)
        for listener in list(self._listeners):
            listener.put(None)
        self._server.server_close()
        self._server = None

    def put(self, name: str, pid: int) -> None:
        """A container starts, or (0) ends."""
        self.containers[name] = pid
        self.tell("start" if pid else "die", name)

    def tell(self, action: str, name: str, **attributes: str) -> None:
        """An event."""
        event = {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": number(name), "Attributes": {"name": name, **attributes}},
        }
        self._events.append((time.time(), event))
        for listener in list(self._listeners):
            listener.put(json.dumps(event).encode() + b"\n")

    @contextlib.contextmanager
    def listening(self, since: float) -> Any:
        """The events from then on; None at the end."""
        mine: queue.Queue[bytes | None] = queue.Queue()
        for when, event in self._events:
            if when >= since:
                mine.put(json.dumps(event).encode() + b"\n")
        self._listeners.append(mine)
        try:
            yield mine
        finally:
            self._listeners.remove(mine)

    def times(self, begin: str) -> list[float]:
        """When such requests came."""
        return [when for when, path in list(self.asked) if path.startswith(begin)]

    def hears(self) -> bool:
        """Whether someone listens to the events."""
        return bool(self._listeners)


def number(name: str) -> str:
    """The number of a container, as long as Docker's."""
    return name.encode().hex().ljust(64, "0")


class Server(socketserver.ThreadingUnixStreamServer):
    """The socket."""

    docker: Docker
    daemon_threads = True

    def get_request(self) -> Any:
        request, _ = super().get_request()
        return request, ("local", 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hung up is not waited for."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def log_message(self, *args: Any) -> None:
        """Said nowhere."""

    def do_GET(self) -> None:
        docker, url = self.server.docker, urlsplit(self.path)
        docker.asked.append((time.monotonic(), url.path))
        docker.answering.wait()
        if docker.broken:
            self._answer(500, {"message": "broken"})
        elif url.path == "/events":
            self._events(parse_qs(url.query))
        else:
            self._container(unquote(url.path.split("/")[2]))

    def _container(self, name: str) -> None:
        docker = self.server.docker
        if docker.answer is not None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(docker.answer)
            return None
        found = next((one for one in docker.containers if one == name or number(one).startswith(name)), None)
        if found is None:
            return self._answer(404, {"message": f"No such container: {name}"})
        pid = docker.containers[found]
        state = {"Status": "running" if pid else "exited", "Running": bool(pid), "Pid": pid}
        return self._answer(200, {"Id": number(found), "Name": f"/{found}", "State": state})

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def _events(self, query: dict[str, list[str]]) -> None:
        wanted = json.loads(query["filters"][0])["event"]
        with self.server.docker.listening(float(query["since"][0])) as events:
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            if self.server.docker.curt:
                return
            while (line := events.get()) is not None:
                if json.loads(line)["Action"] in wanted:
                    self.wfile.write(line)


def start(host: Host, engine: Docker, name: str = "web") -> Process:
    """A container of Docker starts: a process in a network of its own."""
    process, pid = first_process(host, name)
    engine.put(name, pid)
    return process


def end(engine: Docker, process: Process, name: str = "web") -> None:
    """It ends."""
    process.kill()
    engine.put(name, 0)


def start_podman(host: Host, name: str) -> Process:
    """The only container of Podman starts."""
    lists = host.file("/var/lib/containers/storage/overlay-containers")
    running = host.file(f"/run/containers/storage/overlay-containers/{number(name)}/userdata")
    for folder in (lists, running):
        folder.mkdir(parents=True)
    (lists / "containers.json").write_text(json.dumps([{"id": number(name), "names": [name]}]))
    process, pid = first_process(host, name, "sh", "-c", '"$@" & wait', number(name))
    (running / "pidfile").write_text(str(pid))
    return process


def first_process(host: Host, name: str, *starter: str) -> tuple[Process, int]:
    """A process in a network of its own, and its number in the host; ``starter`` is what starts it, and stays."""
    file = host.file(f"/run/{name}.pid")
    file.unlink(missing_ok=True)
    inside = f"echo $$ > /run/{name}.pid; exec sleep infinity"
    process = host.start(*starter, "unshare", "-n", "sh", "-c", inside)
    return process, host.until(lambda: int(file.read_text()), f"{name} runs")
