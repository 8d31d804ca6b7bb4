"""What systemd is told, sd_notify(3)."""

from __future__ import annotations

import os
import time

import sdnotify


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
        self._notifier.notify(f"READY=1\nSTATUS={one_line(status)}")

    def status(self, status: str) -> None:
        """After each round, once it is ready."""
        if self._ready:
            self._notifier.notify(f"STATUS={one_line(status)}")

    def reloading(self) -> None:
        """Files are read again; MONOTONIC_USEC for Type=notify-reload."""
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon ends, the network stays."""
        self._notifier.notify("STOPPING=1\nSTATUS=stopping, the network stays")

    def alive(self) -> None:
        """The loop runs (WatchdogSec=)."""
        if self.watchdog is not None:
            self._notifier.notify("WATCHDOG=1")


def one_line(text: str) -> str:
    """A value of sd_notify ends at the first newline."""
    return " ".join(text.split())


def watchdog_seconds() -> float | None:
    """How often systemd wants to hear from us: half of WATCHDOG_USEC; None: not at all."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        micros = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return micros / 2_000_000 if micros > 0 else None
