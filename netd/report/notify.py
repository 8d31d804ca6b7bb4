"""What systemd is told, sd_notify(3)."""

from __future__ import annotations

import os
import time

import sdnotify

from netd.config import printable
from netd.config.diagnostics.problem import shortened

#: Of a status, in characters: systemd throws away a message of more than 4096 bytes (NOTIFY_BUFFER_MAX).
LONGEST = 1000


class Notifier:
    """Does nothing where there is no systemd (NOTIFY_SOCKET is not set)."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        if self._notifier.socket is not None:
            # Whoever does not read loses a message; the daemon never waits for it.
            self._notifier.socket.setblocking(False)
        self.watchdog = watchdog_seconds()
        self._ready = False

    def ready(self, status: str) -> None:
        """The first full round is over, or a reload."""
        self._ready = True
        self._send("READY=1", f"STATUS={value(status)}")

    def status(self, status: str) -> None:
        """After each round, once it is ready."""
        if self._ready:
            self._send(f"STATUS={value(status)}")

    def reloading(self) -> None:
        """Files are read again; MONOTONIC_USEC for Type=notify-reload."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon ends, the network stays."""
        self._send("STOPPING=1", "STATUS=stopping, the network stays")

    def alive(self) -> None:
        """The loop runs (WatchdogSec=)."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def _send(self, *variables: str) -> None:
        # systemd reads UTF-8, but notify() sends each character as one byte (Latin-1) and drops what has others.
        self._notifier.notify("\n".join(variables).encode().decode("latin-1"))


def value(text: str) -> str:
    """A text as it can stand in a message: a newline would end it, and a NUL or what is no UTF-8 spoil the whole."""
    return shortened(printable(" ".join(text.split())), LONGEST)


def watchdog_seconds() -> float | None:
    """How often systemd wants to hear from us: half of WATCHDOG_USEC; None: not at all."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        micros = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return micros / 2_000_000 if micros > 0 else None
