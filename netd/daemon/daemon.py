"""The daemon: one asyncio loop that wires files, kernel, engine, log, status socket and systemd together.

Everything that wakes it ends in the same place: a set of objects to look at, and one round over them (``rounds``), in
the callback that woke it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import TYPE_CHECKING

from netd.config import Config, ConfigDirectory, FileState
from netd.containers import Containers
from netd.engine.ledger import Ledger
from netd.engine.mac_key import load_mac_key
from netd.engine.reconciler import Reconciler
from netd.engine.scope import Scope
from netd.errors import ConfigError
from netd.kernel.kernel import Kernel
from netd.model.change import ChangeResult
from netd.model.invalidation import EVERYTHING, Invalidation
from netd.model.key import Key
from netd.report.change_log import ChangeLog
from netd.report.lock import Lock
from netd.report.log import start_log
from netd.report.notify import Notifier
from netd.report.status import StatusSocket

from .answers import Answers
from .attention import Attention
from .directory_watch import DirectoryWatch
from .files_report import FilesReport
from .passes import PassCallbacks, Passes
from .pauses import Pauses
from .stranded import StrandedProcesses

if TYPE_CHECKING:
    from netd.report.metrics import Metrics

#: Seconds that ``reload`` waits for a file that is still being written.
PATIENCE = 1.0
#: Seconds between full passes, between looks at what gives no events (legacy iptables), and that a fight goes unheard.
FULL_PASS, SLOW_LOOK, CALM = 900.0, 60.0, 0.02


class Daemon:
    """``run`` returns the exit status."""

    def __init__(self, config_dir: str, state_dir: str, cache_dir: str, *, host_mounts: bool = False) -> None:
        self._config_dir = os.path.abspath(config_dir)
        self._state_dir = state_dir
        self._lock = Lock(state_dir, "run")
        self._log = start_log()
        self._notifier = Notifier()
        self._folder = ConfigDirectory(self._config_dir, cache_dir, trusted=True)
        self._kernel = Kernel(host_mounts=host_mounts)
        ledger = Ledger(os.path.join(state_dir, "ledger.jsonl"))
        teller = self._teller = ChangeLog(self._log)
        self._containers = Containers()
        found = load_mac_key(cache_dir, write=True)
        if found.trouble:
            self._log.error(found.trouble)
        self._stranded = StrandedProcesses(self._kernel, ledger, self._log)
        self._engine = Reconciler(
            self._kernel,
            ledger,
            self._containers.locate,
            watch=True,
            mac_key=found.key,
            on_done=self._done,
            on_state=teller.state,
        )
        #: What the files say; and said before they began to change, until no more changes came for a while.
        self._config = self._settled = Config({}, (), ())
        #: The folder, while it cannot be read: then nothing is taken away.
        self._away: tuple[FileState, ...] = ()
        self._pauses = Pauses(self._engine.files_of)
        self._ready = False
        self._grace: asyncio.TimerHandle | None = None
        self._files_due = threading.Event()
        self._stop = asyncio.Event()
        told = PassCallbacks(self._rounds_begin, self._rounds_over, self._thrown, self._full_pass)
        self._rounds = Passes(self._engine, self._converge, told, self._stop)
        states = lambda: (*self._away, *self._config.files)  # noqa: E731
        self._files = FilesReport(self._config_dir, states, teller.warnings)
        broken, stranded = lambda: self._rounds.broken, self._stranded.found
        self._answers = Answers(self._engine, self._busy, broken, self._files, stranded, self._reload)
        self._metrics: Metrics | None = None
        self._metrics_port: int | None = None
        #: What is done every so many seconds, once the network stands.
        self._often: list[tuple[float, Callable[[], None]]] = [(FULL_PASS, self._full_pass)]
        self._watch: DirectoryWatch | None = None
        self._blind = False  # whether changes of the folder may go unseen
        self._slow: asyncio.TimerHandle | None = None
        self._attention = Attention()
        self._later: asyncio.TimerHandle | None = None
        if self._notifier.watchdog is not None:
            self._often.append((self._notifier.watchdog, self._notifier.alive))

    def run(self) -> int:
        """Until SIGTERM."""
        asyncio.run(self._main())
        # Not before: what was called for a little later may still be called while the loop ends.
        self._kernel.close()
        return 0

    def measure(self, port: int | None, file: str | None) -> None:
        """Metrics on a port of the loopback address, in a file, or both; before ``run``."""
        from netd.report.metrics import FILE_PERIOD, Metrics

        self._metrics = Metrics(self._engine.table.counts, self._log.error)
        if port is not None:
            self._metrics_port = port
        if file is not None:
            self._often.append((FILE_PERIOD, partial(self._metrics.write, file)))

    def _done(self, one: ChangeResult) -> None:
        self._teller.done(one)
        self._stranded.done(one)
        if self._metrics is not None:
            self._metrics.done(one)

    async def _main(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload()))
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        self._kernel.report = self._trouble
        self._descriptors = self._kernel.start_watching()
        self._listen()

        def files_changed() -> None:
            # A hundred events are one look at the folder.
            if not self._files_due.is_set():
                self._files_due.set()
                loop.call_soon_threadsafe(self._files_woke)

        def unseen(text: str) -> None:
            loop.call_soon_threadsafe(self._folder_unseen, text)

        watch = self._watch = DirectoryWatch(self._config_dir, files_changed, unseen)
        server = StatusSocket(self._state_dir, self._answers, self._answers.turns)
        if self._metrics is not None and self._metrics_port is not None:
            self._metrics.serve(self._metrics_port, self._answers.turns)
        self._log.info("netd starts", message="started", config_dir=self._config_dir)
        self._contained(lambda: self._read_files(prune=True))
        # Until now a look-up waited for the engines of containers; from now on only their threads do.
        self._containers.start(self._container_moved, self._engine.attached.written())
        first = loop.create_task(self._first_round())
        await self._stop.wait()
        first.cancel()
        self._notifier.stopping()
        self._log.info("netd stops, the network stays", message="stopped")
        server.close()
        watch.close()
        self._containers.close()
        if self._metrics is not None:
            self._metrics.close()
        self._rounds.drop()
        self._engine.ledger.flush()

    async def _first_round(self) -> None:
        await self._rounds.idle.wait()
        self._contained(self._find_orphans)
        while self._rounds.broken:
            # Nothing is ready that nobody can tell of.
            self._rounds.idle.clear()
            await self._rounds.idle.wait()
        self._ready = True
        self._notifier.ready(self._summary())
        self._log.info(f"ready: {self._summary()}", message="ready")
        self._answers.waiters.look()
        for seconds, do in self._often:
            self._every(seconds, do)
        self._arm_slow_look()
        # What stands now stays: the garbage collector need not go through it again and again.
        gc.collect()
        gc.freeze()

    def _every(self, seconds: float, do: Callable[[], None]) -> None:
        """Calls ``do`` again and again; it runs in the loop, so it proves that the loop lives."""

        def tick() -> None:
            self._contained(do)
            self._loop.call_later(seconds, tick)

        self._loop.call_later(seconds, tick)

    # waking ----------------------------------------------------------------------------------------------------

    def _contained(self, do: Callable[[], None]) -> None:
        """Whatever wakes the daemon and throws may have had something to say: everything is looked at then."""
        try:
            do()
        except Exception as error:
            self._rounds.threw(error)

    def _kernel_woke(self) -> None:
        self._contained(self._take_events)

    def _kernel_woke_later(self) -> None:
        self._later = None
        self._kernel_woke()

    def _take_events(self) -> None:
        if self._watch is not None:
            self._watch.look()
        began = time.monotonic()
        events = self._attention.sift(self._engine.events(), began)
        if events:
            if self._metrics is not None and EVERYTHING in events:
                self._metrics.overrun()
            plans = self._engine.plans
            self._rounds.look(concerned := self._engine.invalidate(events), drift=True)
            idle, now = plans == self._engine.plans, time.monotonic()
            self._attention.charge(events, now - began, now, idle=idle)
            if idle and self._engine.backoff.any_waiting(concerned, now):
                self._turn_away()
        due = self._attention.next_due()
        if due is not None and self._later is None:
            self._later = self._loop.call_later(max(0.0, due - time.monotonic()), self._kernel_woke_later)
        if self._kernel.needs_drain:
            self._loop.call_soon(self._kernel_woke)

    def _catch_up(self) -> None:
        """What others did before the files changed is known before anything gives way, or is made again."""
        if self._ready:
            self._kernel_woke()

    def _listen(self) -> None:
        for descriptor in self._descriptors:
            self._loop.add_reader(descriptor, self._kernel_woke)

    def _turn_away(self) -> None:
        """Someone changes what must not be repaired yet: what he does is heard in one go, later."""
        for descriptor in self._descriptors:
            self._loop.remove_reader(descriptor)
        self._loop.call_later(CALM, self._listen)

    def _files_woke(self) -> None:
        self._files_due.clear()
        self._contained(lambda: self._read_files(prune=False))

    def _folder_unseen(self, text: str) -> None:
        self._log.error(text)
        self._blind = True
        self._arm_slow_look()

    def _trouble(self, text: str) -> None:
        """In another thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._log.error, text)

    def _container_moved(self, source: str) -> None:
        """In another thread."""

        def look() -> None:
            self._rounds.look(self._engine.target_moved(source), drift=True)

        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._contained, look)

    def _full_pass(self) -> None:
        self._contained(self._look_at_everything)

    def _find_orphans(self) -> None:
        self._engine.find_orphans()

    def _look_at_everything(self) -> None:
        # An event of the folder may have been lost.
        self._read_files(prune=False)
        self._teller.resyncing = True
        self._rounds.look(self._engine.invalidate_all(), drift=True)
        self._engine.find_orphans()

    def _arm_slow_look(self) -> None:
        """Only where there is something that gives no events: else nothing wakes."""
        if self._ready and self._slow is None and (self._blind or self._engine.graph.firewalled):
            self._slow = self._loop.call_later(SLOW_LOOK, self._slow_look)

    def _slow_look(self) -> None:
        self._slow = None
        self._contained(self._look_slowly)
        self._arm_slow_look()

    def _look_slowly(self) -> None:
        if self._blind:
            self._read_files(prune=False)
        looks = [
            Invalidation("nft", netns) for netns in self._engine.graph.firewalled if self._kernel.has_legacy(netns)
        ]
        if looks:
            self._rounds.look(self._engine.invalidate(looks), drift=True)

    def _read_files(self, *, prune: bool) -> None:
        """Takes in what the files say now. What they no longer declare goes at once (``prune``), or after a pause."""
        self._catch_up()
        try:
            config = self._folder.read(forget=prune)
        except ConfigError as error:
            # A folder that is away is not a wish: what was declared stays until it is there again.
            self._away = (FileState(self._config_dir, "invalid", (str(error),)),)
            self._teller.file_errors({str(error): self._config_dir})
            if self._grace is None:
                self._rounds.look(set(), drift=True)  # tells it
            else:
                # Who deletes a folder deletes its files first: they are as much away as the folder is.
                self._take_in(self._settled, prune=False)
            return
        self._save_copies()
        self._teller.file_errors({str(mistake): mistake.file for mistake in config.errors})
        self._files.take(config, self._folder.parsed)
        before = (self._config.desired, self._config.unknown)
        same = not self._away and not prune and (config.desired, config.unknown) == before
        self._away = ()
        if same:
            self._config = config
            self._rounds.look(set(), drift=True)
        else:
            self._take_in(config, prune=prune)

    def _take_in(self, config: Config, *, prune: bool) -> None:
        before = set(self._engine.graph.undeclared)
        changed = self._engine.set_desired(config.desired, config.unknown)
        self._config = config
        self._containers.follow(self._engine.attached.written())
        self._arm_slow_look()
        # What netd never had is not taken away; what was no longer declared before has had its pause.
        left = (self._engine.graph.undeclared & before) - self._pauses.keys
        fresh = {key for key in changed - left if self._engine.ledger.get(key) is not None}
        self._pauses.begin(fresh, self._folder.changed, time.monotonic())
        if prune:
            self._end_pauses(None, changed)
        else:
            self._arm_grace()
            self._rounds.look(changed, drift=False)

    def _arm_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        due = self._pauses.next_due()
        if due is not None:
            self._grace = self._loop.call_later(max(0.0, due - time.monotonic()), self._prune)

    def _save_copies(self) -> None:
        trouble = ""
        try:
            self._folder.save()
        except OSError as error:
            where = f" in {error.filename}" if error.filename else ""
            trouble = f"last good copies cannot be kept{where}: {error.strerror}"
        self._teller.unwritten("copies", trouble)

    def _prune(self) -> None:
        self._grace = None
        self._contained(lambda: self._end_pauses(time.monotonic(), set()))

    def _end_pauses(self, now: float | None, keys: set[Key]) -> None:
        """What has had its pause (None: all) goes, and ``keys`` are looked at."""
        self._catch_up()
        over = self._pauses.end(now)
        if not self._pauses.keys:
            self._settled = self._config
            if not self._away:
                self._folder.forget_gone()
                self._save_copies()
        self._arm_grace()
        self._rounds.look(over | keys, drift=False)

    def _converge(self, keys: Set[Key], drift: bool, involved: set[Key]) -> Iterator[None]:
        scope = Scope(prune=not self._away, waiting=self._pauses.keys)
        return self._engine.converge(keys, scope, drift=drift and self._ready, involved=involved)

    def _rounds_begin(self) -> None:
        if self._metrics is not None:
            self._metrics.begin()

    def _thrown(self, error: Exception) -> None:
        self._log.error("a pass failed", message="pass_failed", exc_info=error)

    def _rounds_over(self) -> None:
        self._teller.resyncing = False
        self._teller.unwritten("ledger", self._engine.ledger.trouble)
        self._notifier.alive()
        self._notifier.status(self._summary())
        self._answers.waiters.look()
        self._files.begin()
        self._stranded.look()
        if self._metrics is not None:
            self._metrics.end()

    # answering -------------------------------------------------------------------------------------------------

    def _summary(self) -> str:
        return self._teller.summary(self._answers.summary())

    def _busy(self) -> bool:
        """Whether something is about to change: what a changed file no longer declares has its pause, too."""
        return self._rounds.busy or not self._ready or bool(self._pauses.keys)

    async def _reload(self) -> list[str]:
        """Reads the files now; waits a little for one that is still being written, then for the round.

        Returns what could not be taken.
        """
        self._notifier.reloading()
        until = time.monotonic() + PATIENCE
        while self._held_open() and time.monotonic() < until:
            await asyncio.sleep(0.02)
        self._contained(lambda: self._read_files(prune=True))
        while self._rounds.busy:
            # It was set by what had been to do before.
            self._rounds.idle.clear()
            await self._rounds.idle.wait()
        await self._files.settled()
        self._notifier.ready(self._summary())
        held = "is held open for writing by someone: it is read once it is closed"
        return [*self._teller.errors, *(f"{path}: {held}" for path in self._folder.busy)]

    def _held_open(self) -> bool:
        with contextlib.suppress(ConfigError):
            self._folder.read(forget=False)
            return bool(self._folder.busy)
        return False
