"""``netd run`` as systemd starts it: reads its notifications and keeps its log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo.sandbox import TOP

NETD = [sys.executable, "-m", "netd"]


class Silence(Exception):
    """The daemon did not send the expected notification in time."""


class Daemon:
    """A running daemon. ``status`` is the last STATUS= that it sent."""

    def __init__(self, directory: Path, command: Sequence[str] = (*NETD, "run")) -> None:
        self.log = directory / "netd.log"
        self.status = ""
        self._seen = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(str(directory / "notify"))
        environment = {**os.environ, "NOTIFY_SOCKET": str(directory / "notify"), "NO_COLOR": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=TOP, env=environment, stderr=log, stdout=log)

    def heard(self, deadline: float) -> dict[str, str]:
        """The next notification. Silence if none arrives before ``deadline``, or if the daemon has ended."""
        while True:
            self._socket.settimeout(0.5)
            try:
                text = self._socket.recv(65536).decode()
                break
            except TimeoutError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Silence(self.log.read_text(errors="replace")[-3000:]) from None
        fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        self.status = fields.get("STATUS", self.status)
        return fields

    def wait_ready(self, seconds: float = 300) -> None:
        """Until READY=1."""
        deadline = time.monotonic() + seconds
        while self.heard(deadline).get("READY") != "1":
            pass

    def discard_notifications(self) -> None:
        """Discards the notifications received so far, so that the socket never fills up."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(65536)
        except BlockingIOError:
            pass

    def new_lines(self) -> list[str]:
        """The log lines since the last call."""
        with self.log.open("rb") as log:
            log.seek(self._seen)
            text = log.read()
        end = text.rfind(b"\n") + 1
        self._seen += end
        return text[:end].decode(errors="replace").splitlines()

    def stop(self) -> int:
        """Sends SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
