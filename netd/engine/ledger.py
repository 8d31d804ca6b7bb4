"""The file of what netd created, and of what it found before its first write; it lives as long as the kernel's state.

Each line is the whole record of one object, and the last one counts: ``{"key": "veth/veth0", "record": {...}}``, or
null once the object is gone. An *intent* is written before an object is created, *made* with its identity after that.
The file is appended to without fsync (a power cut takes the kernel's state too) and compacted by rename. Lines that
cannot be read are skipped: without a record, netd takes less for its own, never more.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from netd.kinds import registry
from netd.model.desired import Desired
from netd.model.key import Key, parse_key

from .record import Record, read_record, record_json

#: So many superfluous lines, and the file is compacted.
SLACK = 2000


# Not ``dumps``: it makes an encoder for each call.
ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def line(key: Key, record: Record | None) -> str:
    """One line of the file."""
    return ENCODE({"key": str(key), "record": None if record is None else record_json(record)})


def stamp(found: os.stat_result) -> tuple[int, int, int]:
    """Identifies a file and its length."""
    return found.st_dev, found.st_ino, found.st_size


class Ledger:
    """All records, in memory and in the file ``path``. ``write`` False: the file is never written (``netd diff``)."""

    def __init__(self, path: str, *, write: bool = True) -> None:
        self.path = path
        self._write = write
        #: The records by object; ``put`` and ``forget`` change them.
        self.records: dict[Key, Record] = {}
        self._lines: list[str] = []
        self._count = 0
        self._file: int | None = None
        #: (device, inode, length) of the file as netd left it; None: there is no file yet.
        self._stamp: tuple[int, int, int] | None = None
        #: Whether the file's last line was cut short.
        self._cut = False
        #: Why the file is not up to date, "" while it is.
        self.trouble = ""
        self._read()

    def _read(self) -> None:
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            self.trouble = f"{self.path} is not a regular file"  # opening a FIFO would block
            return
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                for text in file:
                    self._count += 1
                    self._take(text)
                self._stamp = stamp(os.fstat(file.fileno()))
        except FileNotFoundError:
            return
        except OSError as error:
            # As without records: nothing is taken for netd's own without its mark.
            self.trouble = f"{self.path} cannot be read: {error.strerror}"

    def _take(self, text: str) -> None:
        try:
            raw = json.loads(text)
            key = parse_key(raw["key"])
            record = read_record(raw.get("record"))
            kind = registry().get(key.kind)
            if record is not None and kind is not None:
                kind.validate_locator(key, record.locator)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return
        if record is not None:
            self.records[key] = record
        elif raw.get("record") is None:
            self.records.pop(key, None)

    def get(self, key: Key) -> Record | None:
        """The record of an object."""
        return self.records.get(key)

    def items(self) -> Iterable[tuple[Key, Record]]:
        """All records."""
        return self.records.items()

    def attached(self) -> Mapping[Key, str]:
        """Attached namespaces, each with where it is found."""
        namespaces = ((key, record) for key, record in self.records.items() if key.is_namespace)
        return {key: source for key, record in namespaces if (source := record.locator.get("attach"))}

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self.records))

    def __len__(self) -> int:
        return len(self.records)

    def put(self, key: Key, record: Record) -> None:
        """Keeps a record; ``flush`` writes it."""
        if self.records.get(key) == record:
            return
        self.records[key] = record
        self._lines.append(line(key, record))

    def keep(self, one: Desired, record: Record, **changes: Any) -> None:
        """Keeps the record of a declared object, with these changes and what the files say of it."""
        files = tuple(dict.fromkeys(origin.file for origin in one.origins))
        self.put(one.key, replace(record, locator=dict(one.locator), files=files, claims=one.claims, **changes))

    def update(self, key: Key, **changes: Any) -> None:
        """Changes parts of a record, if there is one."""
        record = self.records.get(key)
        if record is not None:
            self.put(key, replace(record, **changes))

    def forget(self, key: Key) -> None:
        """Drops the record: the object is gone, or netd no longer keeps it."""
        if self.records.pop(key, None) is not None:
            self._lines.append(line(key, None))

    def flush(self) -> None:
        """Writes what changed, in one call. A full disk stops nothing: ``trouble`` says so until all is written."""
        lines, self._lines = self._lines, []
        damaged = self._write and self._is_damaged()
        if not self._write or not (lines or self.trouble or damaged):
            return
        try:
            if self.trouble or damaged or self._count + len(lines) > 2 * len(self.records) + SLACK:
                self._compact()
            else:
                self._append(lines)
            self.trouble = ""
        except OSError as error:
            self.trouble = f"{self.path} cannot be written: {error.strerror}"

    def _append(self, lines: Iterable[str]) -> None:
        text = "".join(one + "\n" for one in lines)
        if self._file is None:
            self._open()
        assert self._file is not None
        if self._cut:
            text = "\n" + text
        data = text.encode()
        # After a line that was cut short (a full disk) the next one must start on a line of its own.
        self._cut = True
        if os.write(self._file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._cut = False
        self._stamp = stamp(os.fstat(self._file))
        self._count += text.count("\n")

    def _is_damaged(self) -> bool:
        """Whether the file was deleted, replaced or truncated: then it is written again."""
        try:
            return self._stamp is not None and stamp(os.stat(self.path)) != self._stamp
        except OSError:
            return True

    def _open(self) -> None:
        """Opens it for appending; it stays open, because it is written before and after every repair."""
        self.close()
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._file).st_size
        self._cut = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _compact(self) -> None:
        self.close()
        fresh = self.path + ".new"
        with open(fresh, "w", encoding="utf-8") as file:
            for key, record in self.records.items():
                file.write(line(key, record) + "\n")
            file.flush()
            self._stamp = stamp(os.fstat(file.fileno()))
        os.replace(fresh, self.path)
        self._count = len(self.records)
