"""The key that the MAC addresses of this machine are derived with, so that they are the same after a reboot.

It is random, made once, and kept in the cache directory; the machine-id counts too. So neither a copy of the machine
with a machine-id of its own, nor two machines with the same machine-id, give the same MAC to links of one name: behind
one VXLAN that would be a black hole.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

NAME, LENGTH = "mac-key", 32
MACHINE_ID = Path("/etc/machine-id")


class MacKey(NamedTuple):
    """``key`` is b"" where there is none, and MACs are random; ``trouble`` says why it could not be kept."""

    key: bytes = b""
    trouble: str = ""


def load_mac_key(cache_dir: str, *, write: bool) -> MacKey:
    """The key as it was kept; with ``write`` a new one is made where there is none, or a torn one."""
    path = os.path.join(cache_dir, NAME)
    try:
        kept = _read(path)
        if kept is None and write:
            os.makedirs(cache_dir, mode=0o755, exist_ok=True)
            kept = os.urandom(LENGTH)
            _write(path, kept)
    except OSError as error:
        return MacKey(trouble=f"{path}: {error.strerror}: links get other MAC addresses at the next boot")
    if kept is None:
        return MacKey()
    try:
        machine = MACHINE_ID.read_bytes().strip()
    except OSError:
        machine = b""
    return MacKey(hashlib.sha256(kept + machine).digest())


def _read(path: str) -> bytes | None:
    try:
        found = bytes.fromhex(Path(path).read_text(encoding="ascii"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if len(found) == LENGTH else None


def _write(path: str, key: bytes) -> None:
    """Readable by root alone, at once or not at all, and on the disk: a power cut must not take it."""
    draft = f"{path}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
