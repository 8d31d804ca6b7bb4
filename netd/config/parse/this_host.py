"""The names of this machine, by which ``[host.NAME]`` tables are chosen."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import NamedTuple

MACHINE_ID = Path("/etc/machine-id")
ID = re.compile(r"[0-9a-f]{32}")


class ThisHost(NamedTuple):
    """``names`` in lower case: the host's name, that up to its first dot, and its machine-id."""

    names: frozenset[str]

    def is_called(self, name: str) -> bool:
        """Whether a host table of this name is this machine's."""
        return name.lower() in self.names


def this_host() -> ThisHost:
    """hostname(7), machine-id(5)."""
    name = socket.gethostname().lower()
    try:
        number = MACHINE_ID.read_text().strip()
    except (OSError, UnicodeDecodeError):
        number = ""
    return ThisHost(frozenset({name, name.partition(".")[0], number if ID.fullmatch(number) else ""} - {""}))
