"""Commands and daemons in a pretend host, and waiting for what they do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

#: Seconds that a thing may take before it is called missing: far above what any machine needs.
DEADLINE = float(os.environ.get("NETD_DEADLINE", "30"))

T = TypeVar("T")


class CommandError(AssertionError):
    """A command ended with another status than the test expects; the message holds all that it said."""


class Result(subprocess.CompletedProcess[str]):
    """What a command printed."""

    @property
    def text(self) -> str:
        """All that it said: errors first."""
        return self.stderr + self.stdout

    @property
    def json(self) -> Any:
        """Its standard output as JSON; nothing printed reads as an empty list, as ``ip -j`` means it."""
        return json.loads(self.stdout) if self.stdout.strip() else []


def child_of(parent: int) -> int:
    """The only child of a process."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                return int(stat.parent.name)
    raise ProcessLookupError(parent)


def until(condition: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """Waits until the condition is true, and returns its value.

    A command that fails in it, or a link that is not there, counts as not yet.
    """
    end = time.monotonic() + deadline
    last: object = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (CommandError, OSError, LookupError, TypeError, ValueError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {what}\nlast: {last}")
        time.sleep(0.02)


class Process:
    """Something that runs in the background of a pretend host; ``pid`` is the one of the machine."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        return until(lambda: child_of(self.popen.pid), "the process in the pretend host has started")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.popen.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self.popen.poll() is None:
            self.signal(signal.SIGKILL)
        self.wait()

    def reap(self) -> None:
        """nsenter stops itself when its child is stopped, and would never see it end."""
        self.popen.send_signal(signal.SIGCONT)

    def wait(self) -> int:
        """The exit status, once it ends."""
        end = time.monotonic() + DEADLINE
        while self.popen.poll() is None and time.monotonic() < end:
            self.reap()
            time.sleep(0.01)
        return self.popen.wait(0)

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class Daemon(Process):
    """``netd run``, as a service manager sees it: a process and what it notifies."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path, notify: socket.socket) -> None:
        super().__init__(popen, log)
        self.notify = notify
        self.notified: list[str] = []

    def told(self, line: str) -> bool:
        """Whether the daemon has notified a line that begins so (``READY=1``)."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.notified += self.notify.recv(65536, socket.MSG_DONTWAIT).decode().splitlines()
        return any(each.startswith(line) for each in self.notified)

    def wait_ready(self) -> None:
        def ready() -> bool:
            if self.popen.poll() is not None:
                raise RuntimeError(f"netd run ended with {self.popen.returncode}:\n{self.text()}")
            return self.told("READY=1")

        until(ready, "the daemon says READY=1")

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """Stopped for a while, so that a test can see what it has broken."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)
            self.reap()
