"""The journal of a pretend host: takes what a daemon logs, as systemd-journald would, and keeps its fields."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Entry = Mapping[str, str]


def fields(message: bytes) -> dict[str, str]:
    """One datagram of the native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    found: dict[str, str] = {}
    while message:
        line, _, rest = message.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        found[name.decode()] = value.decode()
        message = rest
    return found


class Journal:
    """Listens at the socket below ``root``; ``entries`` grows as they come, and ``log`` shows them to a reader."""

    def __init__(self, root: Path, log: Path) -> None:
        folder = root / "run/systemd/journal"
        folder.mkdir(parents=True)
        self.entries: list[Entry] = []
        self._log = log
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "socket"))
        # A queue holds ten datagrams: who logs would wait for a test that is busy elsewhere.
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._log.open("a") as log:
            while message := self._socket.recv(1 << 18):
                entry = fields(message)
                log.write(f"{entry}\n")
                log.flush()
                self.entries.append(entry)

    def close(self) -> None:
        """Ends it."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def changes(self, since: int = 0) -> list[Entry]:
        """What netd wrote to the kernel."""
        return [entry for entry in self.entries[since:] if "NETD_ACTION" in entry]

    def text(self, since: int = 0) -> str:
        """The messages, one a line."""
        return "\n".join(entry.get("MESSAGE", "") for entry in self.entries[since:])


def repair(entry: Entry) -> tuple[str, str, set[str]]:
    """What an entry tells of: (object, action, fields)."""
    diff: dict[str, Any] = json.loads(entry["NETD_DIFF"])
    return entry["NETD_OBJECT"], entry["NETD_ACTION"], set(diff)
