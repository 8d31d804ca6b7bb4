"""What the files declare, from the directory to the engine: which version is in force, and when removals follow.

A file that changes is in force at once. What it no longer declares stays for a moment (``pauses``).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Set

from netd.config import Config, ConfigDirectory, FileState
from netd.containers import Containers
from netd.engine.reconciler import Reconciler
from netd.engine.scope import Scope
from netd.errors import ConfigError
from netd.model.key import Key
from netd.report.change_log import ChangeLog

from .files_report import FilesReport
from .passes import Passes
from .pauses import Pauses

#: Seconds that ``reload`` waits for a file that is still being written, and between two checks.
PATIENCE, POLL = 1.0, 0.02
HELD = "is open for writing in another process: it is read once it is closed"


class ConfigSource:
    """``before`` is called before anything of a new configuration takes effect, ``after`` once it has.

    ``guarded`` calls something, and copes with what it raises.
    """

    def __init__(
        self,
        directory: ConfigDirectory,
        path: str,
        engine: Reconciler,
        passes: Passes,
        containers: Containers,
        change_log: ChangeLog,
        *,
        before: Callable[[], None],
        after: Callable[[], None],
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        self._directory = directory
        self._path = path
        self._engine = engine
        self._passes = passes
        self._containers = containers
        self._change_log = change_log
        self._before = before
        self._after = after
        self._guarded = guarded
        #: What the files declare; and declared before they began to change, until no more changes came for a while.
        self._config = self._settled = Config({}, (), ())
        #: The directory, while it cannot be read: then nothing is removed.
        self._unreadable: tuple[FileState, ...] = ()
        self._pauses = Pauses(engine.files_of)
        self._timer: asyncio.TimerHandle | None = None
        self.report = FilesReport(path, self._states, change_log.warnings)

    def _states(self) -> tuple[FileState, ...]:
        return (*self._unreadable, *self._config.files)

    @property
    def scope(self) -> Scope:
        """What a pass may remove now."""
        return Scope(prune=not self._unreadable, waiting=self._pauses.keys)

    @property
    def pausing(self) -> bool:
        """Whether something that is no longer declared has its pause."""
        return bool(self._pauses.keys)

    def read(self, *, prune: bool) -> None:
        """Takes in what the files declare now. What they no longer declare is removed at once (``prune``), or later."""
        self._before()
        try:
            config = self._directory.read(forget=prune)
        except ConfigError as error:
            self._keep_declared(error)
            return
        self._save_copies()
        self._change_log.file_errors({str(problem): problem.file for problem in config.errors})
        self.report.take(config, self._directory.parsed)
        before = (self._config.desired, self._config.unknown)
        same = not self._unreadable and not prune and (config.desired, config.unknown) == before
        self._unreadable = ()
        if same:
            self._config = config
            self._passes.start(set(), drift=True)
        else:
            self._apply(config, prune=prune)

    def _keep_declared(self, error: ConfigError) -> None:
        """A directory that is missing declares nothing new: what was declared stays until it is there again."""
        self._unreadable = (FileState(self._path, "invalid", (str(error),)),)
        self._change_log.file_errors({str(error): self._path})
        if self._timer is None:
            self._passes.start(set(), drift=True)  # reports it
        else:
            # Deleting a directory deletes its files first: they are missing for the same reason.
            self._apply(self._settled, prune=False)

    def _apply(self, config: Config, *, prune: bool) -> None:
        graph = self._engine.graph
        undeclared_before = set(graph.undeclared)
        changed = self._engine.set_desired(config.desired, config.unknown)
        self._config = config
        self._containers.follow(self._engine.attached.written())
        self._after()
        # What netd never had is not removed; what was no longer declared before has had its pause.
        left = (graph.undeclared & undeclared_before) - self._pauses.keys
        fresh = {key for key in changed - left if self._engine.ledger.get(key) is not None}
        self._pauses.begin(fresh, self._directory.changed, time.monotonic())
        if prune:
            self._end_pauses(None, changed)
        else:
            self._arm_timer()
            self._passes.start(changed, drift=False)

    def _save_copies(self) -> None:
        trouble = ""
        try:
            self._directory.save()
        except OSError as error:
            where = f" in {error.filename}" if error.filename else ""
            trouble = f"last good copies cannot be kept{where}: {error.strerror}"
        self._change_log.unwritten("copies", trouble)

    # removals --------------------------------------------------------------------------------------------------

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._pauses.next_due()
        if due is not None:
            delay = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._guarded(lambda: self._end_pauses(time.monotonic(), set()))

    def _end_pauses(self, now: float | None, keys: Set[Key]) -> None:
        """Removes what has had its pause (None: all), and evaluates ``keys``."""
        self._before()
        over = self._pauses.end(now)
        if not self._pauses.keys:
            self._settled = self._config
            if not self._unreadable:
                self._directory.forget_gone()
                self._save_copies()
        self._arm_timer()
        self._passes.start(over | keys, drift=False)

    # reload ----------------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Reads the files now; waits a little for one that is still being written, then for the passes."""
        until = time.monotonic() + PATIENCE
        while self._held_open() and time.monotonic() < until:
            await asyncio.sleep(POLL)
        self._guarded(lambda: self.read(prune=True))
        while self._passes.busy:
            # It may be set by an earlier pass.
            self._passes.idle.clear()
            await self._passes.idle.wait()
        await self.report.settled()

    def errors(self) -> list[str]:
        """Why files are not in force as they are written."""
        return [*self._change_log.errors, *(f"{path}: {HELD}" for path in self._directory.busy)]

    def _held_open(self) -> bool:
        with contextlib.suppress(ConfigError):
            self._directory.read(forget=False)
            return bool(self._directory.busy)
        return False
