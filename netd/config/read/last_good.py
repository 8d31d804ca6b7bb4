"""The last good version of every file: with it, neither a typing error nor a reboot deletes objects."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

from .files import distrust

PREFIX = "# netd: "
#: NAME_MAX less the digest and the ending; in bytes.
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class LastGoodCopy:
    """``path`` is the file's. ``identity`` is that of the good file; ``broken`` and ``broken_identity`` those of the
    present content, "" while it is good: they identify a broken file that was renamed."""

    path: str
    text: str
    identity: str = ""
    broken: str = ""
    broken_identity: str = ""

    @property
    def marks(self) -> Set[str]:
        """The identity and digest of its file."""
        return {self.identity, self.broken, self.broken_identity} - {""}


def digest(content: bytes) -> str:
    """A digest of the content."""
    return hashlib.sha256(content).hexdigest()


class File(Protocol):
    """A file as it is now."""

    @property
    def path(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def good(self) -> bool: ...


def assign(copies: Sequence[LastGoodCopy], files: Sequence[File]) -> Mapping[str, LastGoodCopy]:
    """The copy of each file, by the file's path. A copy belongs to one file only.

    A copy follows its file to a new name (the same identity). Else it stays with its name, unless the file there is
    another one; else it follows the content. A valid file needs no copy, except that of its own name.
    """
    by_identity, by_digest = _grouped(files, "identity"), _grouped(files, "digest")
    by_path = {file.path: file for file in files}
    owners: dict[str, set[int]] = {}
    for number, copy in enumerate(copies):
        for mark in copy.marks:
            owners.setdefault(mark, set()).add(number)
    ways: list[tuple[int, bool, str, str, int]] = []
    for number, copy in enumerate(copies):
        same = [file for mark in {copy.identity, copy.broken_identity} for file in by_identity.get(mark, ())]
        ranks = {} if same else dict.fromkeys((file.path for file in by_digest.get(copy.broken, ())), 2)
        there = by_path.get(copy.path)
        if there is not None:
            known = owners.get(there.identity, set()) | owners.get(there.digest, set())
            ranks[copy.path] = 1 if not known or number in known else 3
        ranks |= {file.path: 0 for file in same if not file.good or file.path == copy.path}
        ways += [(rank, path != copy.path, copy.path, path, number) for path, rank in ranks.items()]
    found: dict[str, LastGoodCopy] = {}
    taken: set[int] = set()
    for _, _, _, path, number in sorted(ways):
        if path not in found and number not in taken:
            found[path] = copies[number]
            taken.add(number)
    return found


def _grouped(files: Sequence[File], name: str) -> Mapping[str, list[File]]:
    """By a mark; those that have none are in no group."""
    groups: dict[str, list[File]] = {}
    for file in files:
        if mark := getattr(file, name):
            groups.setdefault(mark, []).append(file)
    return groups


class LastGoodCopies:
    """One file each in the cache directory: a comment in JSON, then the text as it was."""

    def __init__(self, directory: str | None, *, trusted: bool) -> None:
        self._directory = directory
        self._trusted = trusted
        self._copies = dict(self._load())
        self._unsaved: set[str] = set()

    @property
    def directory(self) -> str:
        """The directory of the copies, "" where none are kept."""
        return os.path.join(self._directory, "files") if self._directory is not None else ""

    def get(self, path: str) -> LastGoodCopy | None:
        """The copy of a file."""
        return self._copies.get(path)

    @property
    def all(self) -> Mapping[str, LastGoodCopy]:
        """Every copy by the path of its file."""
        return self._copies

    def put(self, copy: LastGoodCopy) -> None:
        """Keeps a copy, in memory until ``save``."""
        if self._copies.get(copy.path) != copy:
            self._copies[copy.path] = copy
            self._unsaved.add(copy.path)

    def drop(self, path: str) -> None:
        """Forgets a copy."""
        if self._copies.pop(path, None) is not None:
            self._unsaved.add(path)

    def save(self) -> None:
        """Writes what changed, each file at once or not at all. OSError where one cannot be, after all others.

        Without fsync, which would take longer than a repair: the digest reveals an incomplete copy.
        """
        if self._directory is None or not self._unsaved:
            return
        directory = self.directory
        os.makedirs(directory, mode=0o755, exist_ok=True)
        errors: list[OSError] = []
        for path in sorted(self._unsaved):
            target = os.path.join(directory, _file_name(path))
            copy = self._copies.get(path)
            try:
                if copy is not None:
                    _write(target, copy)
                elif os.path.lexists(target):
                    os.unlink(target)
            except OSError as error:
                errors.append(error)
            else:
                self._unsaved.discard(path)
        if errors:
            raise errors[0]

    def _load(self) -> Mapping[str, LastGoodCopy]:
        if self._directory is None:
            return {}
        directory = self.directory
        try:
            names = [name for name in os.listdir(directory) if not name.startswith(".")]
        except OSError:
            return {}
        paths = [os.path.join(directory, name) for name in names]
        found = [_read(path) for path in paths if not self._trusted or not distrust(path)]
        return {copy.path: copy for copy in found if copy is not None}


def _file_name(path: str) -> str:
    """The file name of a copy: readable, and unique across directories."""
    # Cut last: each byte that is no text becomes three.
    name = os.fsencode(os.path.basename(path)).decode(errors="replace").encode()[:LONGEST_NAME].decode(errors="ignore")
    return f"{name}.{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"


def _write(target: str, copy: LastGoodCopy) -> None:
    content = copy.text.encode(errors="surrogateescape")
    about = {
        "path": copy.path,
        "digest": digest(content),
        "identity": copy.identity,
        "broken": copy.broken,
        "broken_identity": copy.broken_identity,
    }
    directory, name = os.path.split(target)
    draft = os.path.join(directory, f".{digest(os.fsencode(name))[:16]}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(f"{PREFIX}{json.dumps(about)}\n".encode() + content)
    os.replace(draft, target)


def _read(path: str) -> LastGoodCopy | None:
    """A copy; None where it is incomplete, or not a copy."""
    try:
        with open(path, "rb") as file:
            head, _, content = file.read().partition(b"\n")
        about: dict[str, Any] = json.loads(head.removeprefix(PREFIX.encode()))
        if about["digest"] != digest(content):
            return None
        return LastGoodCopy(
            str(about["path"]),
            content.decode(),
            str(about["identity"]),
            str(about["broken"]),
            str(about["broken_identity"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
