"""Notifications to systemd, sd_notify(3)."""

from __future__ import annotations

import os
import time

import sdnotify

from netd.config import printable
from netd.config.diagnostics.problem import shortened

#: Characters of a status: systemd discards a message of more than 4096 bytes (NOTIFY_BUFFER_MAX).
LONGEST = 1000


class Notifier:
    """Does nothing where there is no systemd (NOTIFY_SOCKET is not set)."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        if self._notifier.socket is not None:
            # If systemd does not read, the message is lost; the daemon never waits for it.
            self._notifier.socket.setblocking(False)
        self.watchdog = watchdog_seconds()
        self._ready = False

    def ready(self, status: str) -> None:
        """The first complete pass, or a reload, has ended."""
        self._ready = True
        self._send("READY=1", f"STATUS={value(status)}")

    def status(self, status: str) -> None:
        """After each pass, once it is ready."""
        if self._ready:
            self._send(f"STATUS={value(status)}")

    def reloading(self) -> None:
        """Files are read again; MONOTONIC_USEC for Type=notify-reload."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon ends, the network stays."""
        self._send("STOPPING=1", "STATUS=stopping, the network stays")

    def alive(self) -> None:
        """The event loop is running (WatchdogSec=)."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def _send(self, *variables: str) -> None:
        # systemd reads UTF-8, but notify() sends each character as one byte (Latin-1) and drops what has others.
        self._notifier.notify("\n".join(variables).encode().decode("latin-1"))


def value(text: str) -> str:
    """A text that is valid in a message: a newline would end it, and NUL or invalid UTF-8 make the message invalid."""
    return shortened(printable(" ".join(text.split())), LONGEST)


def watchdog_seconds() -> float | None:
    """The seconds between two watchdog notifications: half of WATCHDOG_USEC; None: no watchdog."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        micros = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return micros / 2_000_000 if micros > 0 else None
