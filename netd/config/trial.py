"""A change that is kept only if it is confirmed: its files take their places, and can be put back byte for byte.

In the directory of the files, a hidden directory (the *stage*) has the new versions, and keeps the former ones while
the new ones are in force. Nothing is copied back: the former file itself, with its mode, owner and attributes, has a
second name (a hard link) in the stage, and gets its place again by a rename, which needs no space on the disk.

The *record* in the stage exists from before the first file is replaced until the change is kept or put back. Who finds
one whose daemon has ended puts the files back: after a SIGKILL, and after a reboot.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from netd.errors import ConfigError

PREFIX = ".netd-try-"
FORMER = "former"
RECORD = "try.json"
VERSION = 1


class TrialError(ConfigError):
    """Why files cannot be tried."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """One file: its name, the digest of its new version, and whether there was a former one."""

    name: str
    digest: str
    had: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What is being tried. ``stage`` is the name of the hidden directory in ``directory``."""

    directory: str
    stage: str
    files: tuple[Replaced, ...]

    @property
    def staged(self) -> str:
        """The path of the stage."""
        return os.path.join(self.directory, self.stage)

    def place(self, name: str) -> str:
        """The path of a file of the configuration."""
        return os.path.join(self.directory, name)

    def former(self, name: str) -> str:
        """Where its former version is kept."""
        return os.path.join(self.staged, FORMER, name)


def sync(path: str) -> None:
    """What a directory lists, or a file holds, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_at(path: str) -> str:
    """The digest of a plain file; "" where there is none."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return ""
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def stage_files(directory: str, files: Mapping[str, bytes]) -> str:
    """Writes new versions into a new stage, and returns its name. Mode and owner are those of the present files."""
    name = f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    staged = os.path.join(directory, name)
    try:
        os.mkdir(staged, 0o700)
        for file, content in files.items():
            _write(os.path.join(staged, file), content, os.path.join(directory, file))
        sync(staged)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise TrialError(f"the new files cannot be written to {directory}: {error.strerror}") from None
    return name


def unstage(directory: str, stage: str) -> None:
    """Removes a stage that the daemon has not begun to try: of others it has the only copies."""
    if not os.path.lexists(os.path.join(directory, stage, RECORD)):
        shutil.rmtree(os.path.join(directory, stage), ignore_errors=True)


def _write(path: str, content: bytes, like: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(descriptor, 0o644)
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(like)
            if stat.S_ISREG(found.st_mode):
                os.fchown(descriptor, found.st_uid, found.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
        file.flush()
        os.fsync(descriptor)


def begin(directory: str, stage: str, names: Sequence[str]) -> Record:
    """Puts the staged files into their places. TrialError: nothing has changed."""
    if not stage.startswith(PREFIX) or any("/" in each for each in (stage, *names)):
        raise TrialError(f"'{stage}' is no stage of netd")
    files = tuple(
        Replaced(name, digest_at(os.path.join(directory, stage, name)), os.path.lexists(os.path.join(directory, name)))
        for name in names
    )
    record = Record(directory, stage, files)
    missing = [each.name for each in files if not each.digest]
    if missing:
        raise TrialError(f"there is no staged file {' and '.join(missing)}")
    try:
        linked = _keep_former(record)
    except OSError as error:
        discard(record)
        raise TrialError(f"{error.filename or directory}: {error.strerror}: the former files cannot be kept") from None
    try:
        for each in files:
            _replace(record, each, each.name in linked)
        sync(directory)
    except OSError as error:
        put_back(record)
        raise TrialError(f"{error.filename or directory}: {error.strerror}") from None
    return record


def _keep_former(record: Record) -> set[str]:
    """Gives the former files their second names, and writes the record; the files that have one."""
    os.mkdir(os.path.join(record.staged, FORMER), 0o700)
    linked = {
        each.name for each in record.files if each.had and _linked(record.place(each.name), record.former(each.name))
    }
    sync(os.path.join(record.staged, FORMER))
    path = os.path.join(record.staged, RECORD)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({"version": VERSION, "files": [asdict(each) for each in record.files]}, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{path}.new", path)
    sync(record.staged)
    sync(record.directory)
    return linked


def _replace(record: Record, each: Replaced, linked: bool) -> None:
    place, former = record.place(each.name), record.former(each.name)
    if each.had and not linked:
        os.rename(place, former)
    elif os.path.lexists(place) and not (linked and os.path.samestat(os.lstat(place), os.lstat(former))):
        raise FileExistsError(errno.EEXIST, "was changed by someone else at this moment", place)
    os.rename(os.path.join(record.staged, each.name), place)


def _linked(place: str, former: str) -> bool:
    """Whether the former file has a second name; not every file system has these."""
    try:
        os.link(place, former, follow_symlinks=False)
    except OSError:
        return False
    return True


def unfinished(directory: str) -> list[Record]:
    """Changes that were neither kept nor put back."""
    try:
        names = sorted(name for name in os.listdir(directory) if name.startswith(PREFIX))
    except OSError:
        return []
    return [record for name in names if (record := _read(directory, name)) is not None]


def _read(directory: str, stage: str) -> Record | None:
    try:
        with open(os.path.join(directory, stage, RECORD), encoding="utf-8") as file:
            found = json.load(file)
        files = tuple(Replaced(str(each["name"]), str(each["digest"]), bool(each["had"])) for each in found["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Record(directory, stage, files)


def discard(record: Record) -> None:
    """The change is kept: from the removal of its record on, nobody puts it back."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(record.staged, RECORD))
    with contextlib.suppress(OSError):
        sync(record.staged)
    shutil.rmtree(record.staged, ignore_errors=True)


def put_back(record: Record) -> list[str]:
    """The directory as it was before; what is to be said about it. Can be repeated after any crash. OSError."""
    said = [text for each in record.files if (text := _put_back(record, each))]
    sync(record.directory)
    discard(record)
    return said


def _put_back(record: Record, each: Replaced) -> str:
    place, former = record.place(each.name), record.former(each.name)
    there, kept = os.path.lexists(place), os.path.lexists(former)
    if kept and there and os.path.samestat(os.lstat(place), os.lstat(former)):
        os.unlink(former)  # it was not replaced yet
    elif kept and (not there or digest_at(place) == each.digest):
        os.rename(former, place)
    elif kept:
        # Somebody has edited it meanwhile: neither version is lost.
        saved = _free(f"{place}.former")
        os.rename(former, saved)
        return f"{place} was changed by someone else meanwhile, and stays so; the version before is {saved}"
    elif not each.had and there and digest_at(place) == each.digest:
        os.unlink(place)
    elif not each.had and there and not os.path.lexists(os.path.join(record.staged, each.name)):
        return f"{place} was changed by someone else meanwhile, and stays"
    return ""


def _free(path: str) -> str:
    """The path, or with a number behind it the first that is not taken."""
    number, found = 0, path
    while os.path.lexists(found):
        number += 1
        found = f"{path}.{number}"
    return found


def clean(directory: str) -> None:
    """Removes stages that a crash left without a record: of changes that did not begin yet, or were kept."""
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith(PREFIX) and not os.path.lexists(os.path.join(directory, name, RECORD)):
                shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
