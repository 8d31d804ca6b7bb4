"""The daemon: one asyncio loop that wires files, kernel, engine, log, status socket and systemd together.

Everything that wakes it ends in the same place: a set of objects to evaluate, and one pass over them (``passes``), in
the callback that woke it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial
from typing import TYPE_CHECKING

from netd.config import ConfigDirectory
from netd.containers import Containers
from netd.engine.faults import FILE as FAULTS
from netd.engine.faults import Faults
from netd.engine.ledger import Ledger
from netd.engine.mac_key import load_mac_key
from netd.engine.reconciler import Reconciler
from netd.kernel.kernel import Kernel
from netd.model.change import ChangeResult
from netd.model.invalidation import Invalidation
from netd.model.key import Key
from netd.model.status import State, Status
from netd.report.change_log import ChangeLog
from netd.report.lock import Lock
from netd.report.log import start_log
from netd.report.notify import Notifier
from netd.report.status import StatusSocket

from .answers import Answers
from .config_source import ConfigSource
from .directory_watch import DirectoryWatch
from .fault_keeper import FaultKeeper
from .kernel_events import KernelEvents
from .passes import PassCallbacks, Passes
from .stranded import StrandedProcesses
from .trials import Trials

if TYPE_CHECKING:
    from netd.report.metrics import Metrics

#: Seconds between resyncs, and between reads of what is not reported by events (legacy iptables).
RESYNC, POLL = 900.0, 60.0


class Daemon:
    """``run`` returns the exit status."""

    def __init__(self, config_dir: str, state_dir: str, cache_dir: str, *, host_mounts: bool = False) -> None:
        self._config_dir = os.path.abspath(config_dir)
        self._state_dir = state_dir
        self._lock = Lock(state_dir, "run")
        self._log = start_log()
        self._notifier = Notifier()
        self._kernel = Kernel(host_mounts=host_mounts)
        self._change_log = ChangeLog(self._log)
        self._containers = Containers()
        ledger = Ledger(os.path.join(state_dir, "ledger.jsonl"))
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
            faults=Faults(os.path.join(state_dir, FAULTS)),
            on_done=self._change_done,
            on_state=self._state_changed,
        )
        self._ready = False
        self._stop = asyncio.Event()
        callbacks = PassCallbacks(self._passes_begin, self._passes_end, self._pass_failed, self._resync)
        self._passes = Passes(self._engine, self._converge, callbacks, self._stop)
        self._events = KernelEvents(
            self._engine,
            self._passes,
            before=self._check_mounts,
            lost=self._events_lost,
            guarded=self._guarded,
        )
        directory = ConfigDirectory(self._config_dir, cache_dir, trusted=True)
        self._files = ConfigSource(
            directory,
            self._config_dir,
            self._engine,
            self._passes,
            self._containers,
            self._change_log,
            before=self._handle_events,
            after=self._arm_poll,
            guarded=self._guarded,
        )
        self._trials = Trials(self._config_dir, self._read_files, self._log)
        self._faults = FaultKeeper(
            self._engine, self._passes, self._change_log, before=self._handle_events, guarded=self._guarded
        )
        self._answers = Answers(
            self._engine,
            self._is_busy,
            lambda: self._passes.broken,
            self._files.report,
            self._stranded.found,
            self._reload,
            self._trials,
            self._faults.answer,
        )
        self._metrics: Metrics | None = None
        self._metrics_port: int | None = None
        #: What is done every so many seconds, once the network is up.
        self._periodic: list[tuple[float, Callable[[], None]]] = [(RESYNC, self._resync)]
        self._watch: DirectoryWatch | None = None
        self._watch_failed = False  # changes of the directory may not be reported
        self._poll_timer: asyncio.TimerHandle | None = None
        if self._notifier.watchdog is not None:
            self._periodic.append((self._notifier.watchdog, self._notifier.alive))

    def run(self) -> int:
        """Until SIGTERM."""
        asyncio.run(self._main())
        # Not before: timers may still expire while the loop ends.
        self._kernel.close()
        return 0

    def measure(self, port: int | None, file: str | None) -> None:
        """Metrics on a port of the loopback address, in a file, or both; before ``run``."""
        from netd.report.metrics import FILE_PERIOD, Metrics

        self._metrics = Metrics(self._engine.table.counts, self._log.error)
        self._metrics_port = port
        if file is not None:
            self._periodic.append((FILE_PERIOD, partial(self._metrics.write, file)))

    async def _main(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload()))
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        self._kernel.report = partial(self._from_thread, self._log.error)
        self._events.start()
        if self._kernel.blind:
            self._directory_unwatched(f"changes may go unseen for a minute: {self._kernel.blind}")
        watch = self._watch = self._watch_directory()
        server = StatusSocket(self._state_dir, self._answers, self._answers.turns)
        if self._metrics is not None and self._metrics_port is not None:
            self._metrics.serve(self._metrics_port, self._answers.turns)
        self._log.info("netd starts", message="started", config_dir=self._config_dir)
        self._faults.start()
        self._trials.put_back_unfinished()
        self._read_files()
        # Until now, locating a container waited for its runtime; from now on only threads wait.
        self._containers.start(partial(self._from_thread, self._container_moved), self._engine.attached.written())
        first = loop.create_task(self._first_passes())
        await self._stop.wait()
        first.cancel()
        self._trials.end("netd stops")
        self._notifier.stopping()
        self._log.info("netd stops, the network stays", message="stopped")
        server.close()
        watch.close()
        self._containers.close()
        if self._metrics is not None:
            self._metrics.close()
        self._passes.drop()
        self._engine.ledger.flush()

    async def _first_passes(self) -> None:
        await self._passes.idle.wait()
        self._guarded(self._find_orphans)
        while self._passes.broken:
            # As long as nothing is known of the network, it is not ready.
            self._passes.idle.clear()
            await self._passes.idle.wait()
        self._ready = True
        self._notifier.ready(self._summary())
        self._log.info(f"ready: {self._summary()}", message="ready")
        self._answers.waiters.check()
        for seconds, action in self._periodic:
            self._repeat(seconds, action)
        self._arm_poll()
        # What exists now stays: the garbage collector need not go through it again and again.
        gc.collect()
        gc.freeze()

    def _repeat(self, seconds: float, action: Callable[[], None]) -> None:
        """Calls ``action`` periodically; it runs in the loop, so it proves that the loop is alive."""

        def tick() -> None:
            self._guarded(action)
            self._loop.call_later(seconds, tick)

        self._loop.call_later(seconds, tick)

    def _guarded(self, action: Callable[[], None]) -> None:
        """What raises may have been about any object: everything is evaluated again."""
        try:
            action()
        except Exception as error:
            self._passes.fail_outside(error)

    def _from_thread(self, action: Callable[[str], None], argument: str) -> None:
        """Calls ``action`` in the loop; this is called in another thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._guarded, partial(action, argument))

    def _read_files(self) -> None:
        self._guarded(lambda: self._files.read(prune=True))

    # what wakes it ---------------------------------------------------------------------------------------------

    def _handle_events(self) -> None:
        """Before files take effect: what others did until then must be known before anything is displaced."""
        if self._ready:
            self._events.handle()

    def _check_mounts(self) -> None:
        """A mount over the directory wakes the daemon, and inotify does not report it."""
        if self._watch is not None:
            self._watch.look()

    def _events_lost(self) -> None:
        if self._metrics is not None:
            self._metrics.overrun()

    def _watch_directory(self) -> DirectoryWatch:
        due = threading.Event()

        def changed() -> None:
            # A hundred events cause one read.
            if not due.is_set():
                due.set()
                self._loop.call_soon_threadsafe(read)

        def read() -> None:
            due.clear()
            self._guarded(lambda: self._files.read(prune=False))

        return DirectoryWatch(self._config_dir, changed, partial(self._from_thread, self._directory_unwatched))

    def _directory_unwatched(self, reason: str) -> None:
        self._log.error(reason)
        self._watch_failed = True
        self._arm_poll()

    def _container_moved(self, source: str) -> None:
        self._passes.start(self._engine.target_moved(source), drift=True)

    def _resync(self) -> None:
        self._guarded(self._read_everything)

    def _read_everything(self) -> None:
        # An event of the directory may have been lost.
        self._files.read(prune=False)
        self._change_log.resyncing = True
        self._passes.start(self._engine.invalidate_all(), drift=True)
        self._engine.find_orphans()

    def _find_orphans(self) -> None:
        self._engine.find_orphans()

    def _arm_poll(self) -> None:
        """Only if something is not reported by events: otherwise nothing wakes the daemon."""
        graph = self._engine.graph
        needed = self._watch_failed or graph.firewalled or graph.unannounced
        if self._ready and self._poll_timer is None and needed:
            self._poll_timer = self._loop.call_later(POLL, self._on_poll)

    def _on_poll(self) -> None:
        self._poll_timer = None
        self._guarded(self._poll)
        self._arm_poll()

    def _poll(self) -> None:
        if self._kernel.blind:
            self._read_everything()
        elif self._watch_failed:
            self._files.read(prune=False)
        with_legacy = [netns for netns in self._engine.graph.firewalled if self._kernel.has_legacy(netns)]
        self._read_again(Invalidation("nft", netns) for netns in with_legacy)
        self._read_again(self._engine.graph.unreported())

    def _read_again(self, stale: Iterable[Invalidation]) -> None:
        keys = self._engine.invalidate(stale)
        if keys:
            self._passes.start(keys, drift=True)

    # passes ----------------------------------------------------------------------------------------------------

    def _converge(self, keys: Set[Key], drift: bool, involved: set[Key]) -> Iterator[None]:
        return self._engine.converge(keys, self._files.scope, drift=drift and self._ready, involved=involved)

    def _passes_begin(self) -> None:
        if self._metrics is not None:
            self._metrics.begin()

    def _pass_failed(self, error: Exception) -> None:
        self._log.error("a pass failed", message="pass_failed", exc_info=error)

    def _passes_end(self) -> None:
        self._change_log.resyncing = False
        self._change_log.unwritten("ledger", self._engine.ledger.trouble)
        self._notifier.alive()
        self._notifier.status(self._summary())
        self._answers.waiters.check()
        self._answers.feed.pass_ended()
        self._files.report.begin()
        self._stranded.check()
        if self._metrics is not None:
            self._metrics.end()

    def _state_changed(self, status: Status, before: State | None) -> None:
        self._change_log.state(status, before)
        self._answers.feed.state(status, before)

    def _change_done(self, result: ChangeResult) -> None:
        self._change_log.done(result)
        self._answers.feed.done(result)
        self._stranded.done(result)
        if self._metrics is not None:
            self._metrics.done(result)

    # answers ---------------------------------------------------------------------------------------------------

    def _summary(self) -> str:
        return self._change_log.summary(self._answers.summary())

    def _is_busy(self) -> bool:
        """Whether something is about to change: what a changed file no longer declares is, too."""
        return self._passes.busy or not self._ready or self._files.pausing

    async def _reload(self) -> list[str]:
        """Returns why files are not in force as they are written."""
        self._notifier.reloading()
        self._read_again(self._engine.graph.unreported())
        await self._files.reload()
        self._notifier.ready(self._summary())
        return self._files.errors()
