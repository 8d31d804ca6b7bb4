"""What happens, as lines for ``netd watch``: one ring for all readers, so that a reader costs a pass nothing.

A pass only appends what happened. Lines are made when the first reader sends them, in turns (``report.turns``). A
reader whose next line was overwritten in the ring is told how many lines it has lost.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from netd.config import FileState
from netd.model.change import ChangeResult, FieldDiff
from netd.model.key import Key
from netd.model.status import State, Status
from netd.report.text import fields_json, rfc3339
from netd.report.turns import Turns

#: Lines that a reader can be behind, and changes that are kept for ``netd show``.
RING, HISTORY = 8192, 8192
#: Lines that are sent at once.
PORTION = 64
#: The members of every line; those that do not apply are null.
MEMBERS = ("type", "time", "object", "action", "fields", "state", "reason", "file", "by", "ms", "drift")


class PastChange:
    """A change that was made or refused: what lines and ``netd show`` say of it, without what it was made from."""

    __slots__ = ("action", "by", "drift", "error", "fields", "file", "key", "ms", "time")

    def __init__(self, result: ChangeResult, when: float) -> None:
        change = result.change
        self.time = when
        self.key: Key = change.key
        self.action = change.action
        self.fields: Mapping[str, FieldDiff] = change.fields
        self.file = change.file
        self.by = result.culprit
        self.ms = round(result.seconds * 1000, 2)
        self.drift = result.drift
        self.error = result.error

    def json(self) -> dict[str, Any]:
        """As a line of ``netd watch``."""
        return line(
            "change", self.time, object=str(self.key), action=self.action, fields=fields_json(self.fields),
            state=State.FAILED.value if self.error else None, reason=self.error or None, file=self.file or None,
            by=self.by or None, ms=self.ms, drift=self.drift,
        )  # fmt: skip


class Feed:
    """``statuses`` are the rows of all objects, ``files`` the states of files, ``whole`` the state of the network."""

    def __init__(
        self,
        turns: Turns,
        statuses: Callable[[], Sequence[Status]],
        files: Callable[[], Sequence[FileState]],
        whole: Callable[[], str],
    ) -> None:
        self._turns = turns
        self._statuses = statuses
        self._files = files
        self._whole = whole
        self.history: deque[PastChange] = deque(maxlen=HISTORY)
        self._ring: deque[PastChange | dict[str, Any] | bytes] = deque(maxlen=RING)
        #: The number of the next line: lines count from 0.
        self._next = 0
        self._readers = 0
        self._news = asyncio.Event()
        self._last_whole = ""
        self._last_files: Mapping[str, FileState] = {}

    # what happens ----------------------------------------------------------------------------------------------

    def done(self, result: ChangeResult) -> None:
        """A change was made, or refused."""
        past = PastChange(result, time.time())
        self.history.append(past)
        self._put(past)

    def state(self, status: Status, before: State | None) -> None:
        """An object has another state, or another reason for it."""
        if self._readers:
            self._put(object_line("object", status))

    def pass_ended(self) -> None:
        """The state of the whole and of the files, where they are others now."""
        if not self._readers:
            return
        whole, files = self._whole(), {each.path: each for each in self._files()}
        if whole != self._last_whole:
            self._last_whole = whole
            self._put(line("state", time.time(), state=whole))
        for path in files.keys() | self._last_files.keys():
            if files.get(path) != self._last_files.get(path):
                self._put(file_line(path, files.get(path)))
        self._last_files = files

    def _put(self, one: PastChange | dict[str, Any]) -> None:
        if not self._readers:
            return
        self._ring.append(one)
        self._next += 1
        self._news.set()

    def changes_of(self, keys: Collection[Key], most: int) -> list[dict[str, Any]]:
        """The last changes of these objects, the newest first."""
        found: list[dict[str, Any]] = []
        chosen = frozenset(keys)
        for past in reversed(self.history):
            if past.key in chosen:
                found.append(past.json())
                if len(found) == most:
                    break
        return found

    # readers ---------------------------------------------------------------------------------------------------

    async def lines(self, *, state: bool) -> AsyncGenerator[bytes, None]:
        """For one reader, without end: how it is now (if ``state``), then what happens from now on."""
        if not self._readers:
            self._ring.clear()
            self._last_whole, self._last_files = self._whole(), {each.path: each for each in self._files()}
        self._readers += 1
        try:
            at = self._next
            if state:
                async for portion in self._present():
                    yield portion
            while True:
                await self._turns.take()
                found, at = self._portion(at)
                if found:
                    yield found
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            self._readers -= 1

    async def _present(self) -> AsyncIterator[bytes]:
        """One line for the whole, for each file, and for each object."""
        now = time.time()
        yield encoded([line("state", now, state=self._whole())])
        yield encoded(file_line(each.path, each, now) for each in self._files())
        rows = self._statuses()
        for start in range(0, len(rows), PORTION):
            await self._turns.take()
            yield encoded(object_line("state", row, now) for row in rows[start : start + PORTION])

    def _portion(self, at: int) -> tuple[bytes, int]:
        """Lines from number ``at`` on, and the number of the next one."""
        first = self._next - len(self._ring)
        if at < first:
            said = line("lost", time.time(), reason=f"{first - at} lines were lost: this reader is too slow")
            return encoded([said | {"lost": first - at}]), first
        until = min(self._next, at + PORTION)
        found = []
        for number in range(at - first, until - first):
            one = self._ring[number]
            if not isinstance(one, bytes):
                # Made once for all readers.
                one = self._ring[number] = encoded([one if isinstance(one, dict) else one.json()])
            found.append(one)
        return b"".join(found), until


def line(kind: str, when: float, **members: Any) -> dict[str, Any]:
    """A line with all its members."""
    return {**dict.fromkeys(MEMBERS), "type": kind, "time": rfc3339(when), **members}


def object_line(kind: str, status: Status, when: float | None = None) -> dict[str, Any]:
    """The state of an object."""
    return line(
        kind, time.time() if when is None else when, object=str(status.key), state=status.state.value,
        reason=status.reason or None, file=status.file or None,
    )  # fmt: skip


def file_line(path: str, file: FileState | None, when: float | None = None) -> dict[str, Any]:
    """The state of a file; "gone" for one that is no longer there."""
    reason = file.errors[0].splitlines()[0] if file is not None and file.errors else None
    state = file.state if file is not None else "gone"
    return line("file", time.time() if when is None else when, file=path, state=state, reason=reason)


def encoded(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON, a line each."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)
