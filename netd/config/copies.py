"""The last good version of every file, kept so that neither a typo nor a reboot reads as a deletion."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .files import distrust

PREFIX = "# netd: "
#: NAME_MAX less the digest and the ending.
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Copy:
    """``path`` is the file's. ``identity`` is that of the good file; ``broken`` and ``broken_identity`` those of the
    content that stands there now, "" while it is good: by them a broken file is known again under another name."""

    path: str
    text: str
    identity: str = ""
    broken: str = ""
    broken_identity: str = ""


def digest(content: bytes) -> str:
    """Tells contents apart."""
    return hashlib.sha256(content).hexdigest()


class Copies:
    """One file each in the cache folder: a comment in JSON, then the text as it was."""

    def __init__(self, folder: str | None, *, trusted: bool) -> None:
        self._folder = folder
        self._trusted = trusted
        self._copies = dict(self._load())
        self._unsaved: set[str] = set()

    def __contains__(self, path: str) -> bool:
        return path in self._copies

    @property
    def place(self) -> str:
        """The folder of the copies, "" where none are kept."""
        return os.path.join(self._folder, "files") if self._folder is not None else ""

    def get(self, path: str) -> Copy | None:
        """The copy of a file."""
        return self._copies.get(path)

    @property
    def all(self) -> Mapping[str, Copy]:
        """Every copy by the path of its file."""
        return self._copies

    def put(self, copy: Copy) -> None:
        """Keeps a copy, in memory until ``save``."""
        if self._copies.get(copy.path) != copy:
            self._copies[copy.path] = copy
            self._unsaved.add(copy.path)

    def drop(self, path: str) -> None:
        """Forgets a copy."""
        if self._copies.pop(path, None) is not None:
            self._unsaved.add(path)

    def save(self) -> None:
        """Writes what changed, each file at once or not at all. OSError where the folder cannot be written.

        Without fsync, which would cost more than a repair: a torn copy is known by its digest.
        """
        if self._folder is None or not self._unsaved:
            return
        folder = self.place
        os.makedirs(folder, mode=0o755, exist_ok=True)
        for path in sorted(self._unsaved):
            target = os.path.join(folder, _file_name(path))
            copy = self._copies.get(path)
            if copy is None:
                if os.path.lexists(target):
                    os.unlink(target)
            else:
                _write(target, copy)
            self._unsaved.discard(path)

    def _load(self) -> Mapping[str, Copy]:
        if self._folder is None:
            return {}
        folder = self.place
        try:
            names = [name for name in os.listdir(folder) if not name.startswith(".")]
        except OSError:
            return {}
        paths = [os.path.join(folder, name) for name in names]
        found = [_read(path) for path in paths if not self._trusted or not distrust(path)]
        return {copy.path: copy for copy in found if copy is not None}


def _file_name(path: str) -> str:
    """The copy's name, readable and unlike that of a file of another folder."""
    name = os.fsencode(os.path.basename(path))[:LONGEST_NAME].decode(errors="replace")
    return f"{name}.{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"


def _write(target: str, copy: Copy) -> None:
    content = copy.text.encode(errors="surrogateescape")
    about = {
        "path": copy.path,
        "digest": digest(content),
        "identity": copy.identity,
        "broken": copy.broken,
        "broken_identity": copy.broken_identity,
    }
    folder, name = os.path.split(target)
    draft = os.path.join(folder, f".{digest(os.fsencode(name))[:16]}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(f"{PREFIX}{json.dumps(about)}\n".encode() + content)
    os.replace(draft, target)


def _read(path: str) -> Copy | None:
    """A copy; None where it is torn, or none."""
    try:
        with open(path, "rb") as file:
            head, _, content = file.read().partition(b"\n")
        about: dict[str, Any] = json.loads(head.removeprefix(PREFIX.encode()))
        if about["digest"] != digest(content):
            return None
        return Copy(
            str(about["path"]),
            content.decode(),
            str(about["identity"]),
            str(about["broken"]),
            str(about["broken_identity"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
