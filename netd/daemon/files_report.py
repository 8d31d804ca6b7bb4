"""The state of the configuration files: whether they are in force as written, warnings, what is ignored."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from netd.config import Config, FileState, Problem
from netd.config.lint.lint import warnings
from netd.config.parse.parser import Parsed
from netd.config.read.ignored import ignored_files
from netd.report.text import file_json


class FilesReport:
    """``states`` returns the states of the files. ``report`` gets all warnings, {text: file}, when they have changed.

    Looking for warnings takes long where the files are large: a thread does it, once the network is built.
    """

    def __init__(
        self, config_dir: str, states: Callable[[], Sequence[FileState]], report: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._config_dir = config_dir
        self.states = states
        self._report = report
        self._warnings: Mapping[str, Collection[str]] = {}
        self._without_last_good: Collection[str] = ()
        self._next: tuple[Config, Sequence[Parsed]] | None = None
        self._running = False
        self._settled = asyncio.Event()
        self._settled.set()

    @property
    def incomplete(self) -> bool:
        """Whether a file, or the directory, is not in force as it is written."""
        return any(each.state != "ok" for each in self.states())

    def problems(self) -> list[str]:
        """Why it is incomplete, one line for each file."""
        return [
            f"{each.path} is {each.state}: {each.errors[0].splitlines()[0]}" if each.errors else each.path
            for each in self.states()
            if each.state != "ok"
        ]

    def json(self) -> dict[str, Any]:
        """The part of ``netd status --json`` that is about files."""
        files = [
            file_json(each, self._warnings.get(each.path, ()), since(each), each.path not in self._without_last_good)
            for each in self.states()
        ]
        return {"files": files, "ignored": [each._asdict() for each in ignored_files(self._config_dir)]}

    # warnings --------------------------------------------------------------------------------------------------

    def take(self, config: Config, parsed: Sequence[Parsed]) -> None:
        """The files have changed: what is to be warned of is found out when ``begin`` is called."""
        self._next = (config, parsed)
        self._without_last_good = config.unknown
        self._settled.clear()

    def begin(self) -> None:
        """Starts the search, if the files have changed, and none is running."""
        if self._next is None or self._running:
            return
        (config, parsed), self._next = self._next, None
        self._running = True
        loop = asyncio.get_running_loop()

        def search() -> None:
            found = list(warnings(config.desired, parsed))
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._found, found)

        threading.Thread(target=search, name="warnings", daemon=True).start()

    async def settled(self) -> None:
        """Returns once all warnings of the files as they are now are known."""
        self.begin()
        await self._settled.wait()

    def _found(self, found: Sequence[Problem]) -> None:
        self._running = False
        if self._next is not None:
            self.begin()
            return
        by_file: dict[str, list[str]] = {}
        for each in sorted(found, key=lambda one: (one.file, one.line, one.column)):
            by_file.setdefault(each.file, []).append(str(each))
        self._warnings = by_file
        self._report({text: file for file, texts in by_file.items() for text in texts})
        self._settled.set()


def since(file: FileState) -> float | None:
    """Since when a file is not in force as written: when it was changed last, seconds since the epoch."""
    if file.state == "ok":
        return None
    with contextlib.suppress(OSError):
        return os.lstat(file.path).st_ctime
    return None
