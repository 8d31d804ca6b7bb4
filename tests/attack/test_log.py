"""Who does not read the log holds up nothing; what is lost is counted, and reported when there is a reader again."""

from __future__ import annotations

import os
import pty
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from netd.report import outlet
from netd.report.outlet import Outlet, to_descriptor, to_journal
from tests.support.host import ROOT, Host
from tests.support.journal import fields
from tests.support.process import Daemon, until
from tests.support.stage import start_with_journal

COUNT = 60
ADDRESSES = [f"10.3.{n}.1/24" for n in range(COUNT)]
LAB = f"[bridge.br0]\naddresses = {ADDRESSES}\n"


def break_all(host: Host) -> None:
    host.run("ip", "-4", "addr", "flush", "dev", "br0")


def all_heal(host: Host) -> None:
    host.until(lambda: len(host.addresses("br0")) == COUNT, "all addresses are back")


def test_a_journal_that_is_stopped_holds_up_neither_repairs_nor_a_start(host: Host) -> None:
    folder = host.root / "run/systemd/journal"
    folder.mkdir(parents=True)
    log = host.logs / f"{host.name}.0.log"
    log.touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        # A queue takes some datagrams, and nobody reads them.
        journal.bind(str(folder / "socket"))
        host.write("lab.toml", LAB)
        daemon = start_with_journal(host, log)
        for _ in range(3):
            break_all(host)
            all_heal(host)
        assert host.status()["state"] in ("converged", "degraded")
        journal.settimeout(30)
        texts: list[str] = []
        while not any("10.3.59.1" in text and "repaired" in text for text in texts):
            texts.append(fields(journal.recv(1 << 18))["MESSAGE"])
        assert any(text.startswith("ready") for text in texts), "nothing was lost: it fits what is kept"
        assert daemon.stop() == 0


def test_a_journal_that_is_away_for_a_moment_gets_what_was_logged_meanwhile(host: Host) -> None:
    folder = host.root / "run/systemd/journal"
    folder.mkdir(parents=True)
    log = host.logs / f"{host.name}.0.log"
    log.touch()
    host.write("lab.toml", LAB)
    start_with_journal(host, log)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(folder / "socket"))
        journal.settimeout(30)
        while not fields(journal.recv(1 << 18))["MESSAGE"].startswith("ready"):
            pass


def end_of(host: Host, daemon: Daemon) -> None:
    host.processes.append(daemon)
    daemon.wait_ready()
    for _ in range(8):
        break_all(host)
        all_heal(host)


def start_into(host: Host, descriptor: int) -> Daemon:
    """A daemon whose stderr is this descriptor."""
    import subprocess

    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(host.root / "run/notify"))
    popen = subprocess.Popen(
        host.inside([sys.executable, "-m", "netd", "run"]),
        stdin=subprocess.DEVNULL,
        stdout=descriptor,
        stderr=descriptor,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": "/run/notify"},
        cwd="/",
    )
    log = host.logs / f"{host.name}.0.log"
    log.touch()
    return Daemon(popen, log, notify)


def test_a_pipe_that_nobody_empties_holds_up_nothing(host: Host) -> None:
    host.write("lab.toml", LAB)
    reading, writing = os.pipe()
    try:
        end_of(host, start_into(host, writing))
    finally:
        os.close(reading)
        os.close(writing)
    break_all(host)
    all_heal(host)


def test_a_terminal_that_is_held_holds_up_nothing(host: Host) -> None:
    host.write("lab.toml", LAB)
    reading, writing = pty.openpty()
    try:
        end_of(host, start_into(host, writing))
    finally:
        os.close(writing)
        os.close(reading)


class Reader:
    """Takes lines only while ``open`` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.lines: list[bytes] = []

    def send(self, line: bytes) -> bytes:
        if not self.open.is_set():
            return line
        self.lines.append(line)
        return b""


def test_what_is_lost_is_counted_and_said_once_when_lines_leave_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "MOST_LINES", 10)
    reader = Reader()
    one = Outlet(reader.send, lambda count: b"lost %d" % count)
    for number in range(25):
        one.put(b"%d" % number)
    reader.open.set()
    until(lambda: len(reader.lines) == 11, "all that is kept has left")
    assert reader.lines == [*(b"%d" % number for number in range(10)), b"lost 15"]
    one.put(b"next")
    until(lambda: reader.lines[-1] == b"next", "later lines leave, too")


def test_bytes_are_bounded_as_lines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "MOST_BYTES", 100)
    reader = Reader()
    one = Outlet(reader.send, lambda count: b"lost %d" % count)
    for _ in range(5):
        one.put(b"x" * 40)
    reader.open.set()
    until(lambda: len(reader.lines) == 3, "all that is kept has left")
    assert reader.lines == [b"x" * 40, b"x" * 40, b"lost 3"]


def test_lines_keep_their_order_and_come_whole_through_a_pipe() -> None:
    reading, writing = os.pipe()
    one = Outlet(to_descriptor(writing), lambda count: b"lost\n")
    lines = [b"%d %s\n" % (number, b"x" * 3000) for number in range(200)]
    for line in lines:
        one.put(line)
    wanted, found = b"".join(lines), b""
    while len(found) < len(wanted):
        found += os.read(reading, 1 << 16)
    assert found == wanted
    os.close(reading)
    # Nobody is left to read: that is no error.
    previous = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    one.put(b"gone\n")
    signal.signal(signal.SIGPIPE, previous)
    os.close(writing)


def test_a_datagram_that_no_journal_can_take_is_dropped(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        one = Outlet(to_journal(str(tmp_path / "socket")), lambda count: b"lost")
        one.put(b"x" * (16 << 20))
        one.put(b"next")
        assert journal.recv(1 << 16) == b"next"
