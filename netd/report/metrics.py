"""Metrics for Prometheus: on a port of this machine, or in a file for node_exporter.

Imported only if they are enabled, so that other starts are not slower.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from netd.model.change import ChangeResult
from netd.model.status import SETTLED, State

from .listener import Connection, Listener
from .turns import Turns

#: Seconds; a repair takes a millisecond, a first build some seconds.
BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
#: Seconds between two versions of the file.
FILE_PERIOD = 15.0
LOOPBACK = "127.0.0.1"
#: Connections at once, and bytes of a request.
MOST, LONGEST_REQUEST = 32, 8192


class Metrics:
    """The daemon reports changes and passes; ``counts`` says how many objects are in each state, ``log_error`` logs."""

    def __init__(self, counts: Callable[[], Mapping[State, int]], log_error: Callable[[str], None]) -> None:
        self._counts = counts
        self._log_error = log_error
        self._listener: Listener | None = None
        self._trouble = ""
        self._begun = 0.0
        mine = self.registry = CollectorRegistry()
        by_what = ("kind", "action")
        self._objects = Gauge("netd_objects", "Objects by state", ["state"], registry=mine)
        self._changes = Counter("netd_changes", "Changes that files asked for", by_what, registry=mine)
        self._repairs = Counter("netd_repairs", "Changes that undid changes of other programs", by_what, registry=mine)
        self._refusals = Counter("netd_refusals", "Changes that the kernel refused", ["kind"], registry=mine)
        self._pass_seconds = Histogram("netd_round_seconds", "Duration of passes", buckets=BUCKETS, registry=mine)
        what = "Time from the start of a pass to the end of a repair"
        self._repair = Histogram("netd_repair_seconds", what, buckets=BUCKETS, registry=mine)
        what = "Number of times that events were lost and everything was read again"
        self._overruns = Counter("netd_overruns", what, registry=mine)
        self._converged = Gauge("netd_converged", "Whether no object has a problem", registry=mine)
        what = "End of the last pass after which no object had a problem"
        self._last = Gauge("netd_last_converged_timestamp_seconds", what, registry=mine)

    def serve(self, port: int, turns: Turns) -> None:
        """Answers on the loopback address, in ``Turns``; if the port is in use, there are no metrics."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, port))
            listening.listen(MOST)
        except OSError as error:
            listening.close()
            self._log_error(f"no metrics on port {port}: {error.strerror}")
            return

        async def answer(connection: Connection) -> None:
            with contextlib.suppress(ValueError):
                await connection.read_until(b"\r\n\r\n", LONGEST_REQUEST)
                await turns.take()
                body = generate_latest(self.registry)
                head = f"HTTP/1.0 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\nContent-Length: {len(body)}\r\n\r\n"
                await connection.send(head.encode() + body)

        # Clients do not identify themselves: all together are one peer.
        self._listener = Listener(listening, answer, lambda _: None, MOST)

    def write(self, path: str) -> None:
        """Writes one version of the file, by a rename. Every user can read it: node_exporter is not root."""
        trouble, draft = "", f"{path}.new"
        try:
            with open(draft, "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(generate_latest(self.registry))
            os.replace(draft, path)
        except OSError as error:
            trouble = f"no metrics in {path}: {error.strerror}"
            with contextlib.suppress(OSError):
                os.unlink(draft)
        if trouble and trouble != self._trouble:
            self._log_error(trouble)
        self._trouble = trouble

    def close(self) -> None:
        """No more answers."""
        if self._listener is not None:
            self._listener.close()

    def done(self, done: ChangeResult) -> None:
        """One change, or a refusal."""
        kind, action = done.change.key.kind, done.change.action
        if done.error:
            self._refusals.labels(kind).inc()
        elif done.drift:
            self._repairs.labels(kind, action).inc()
            self._repair.observe(done.seconds)
        else:
            self._changes.labels(kind, action).inc()

    def overrun(self) -> None:
        """Events were lost."""
        self._overruns.inc()

    def begin(self) -> None:
        """A pass begins."""
        self._begun = time.monotonic()

    def end(self) -> None:
        """The pass is complete, with its follow-up passes."""
        if self._begun:
            self._pass_seconds.observe(time.monotonic() - self._begun)
            self._begun = 0.0
        counts = self._counts()
        for state in State:
            self._objects.labels(state.value).set(counts.get(state, 0))
        converged = all(state in SETTLED for state, number in counts.items() if number)
        self._converged.set(converged)
        if converged:
            self._last.set(time.time())
