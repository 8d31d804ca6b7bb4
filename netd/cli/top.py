"""``netd top``: a live screen of states, repairs and rates, until "q" or Ctrl-C. Exit: 0.

The daemon is asked; where none runs, root reads the kernel.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from netd.engine.observe.mirror import Mirror
from netd.errors import NetdError, UsageError
from netd.kernel.kernel import Kernel
from netd.model.key import HOST
from netd.report.status import ask, replies
from netd.topology.link_reader import KernelLinkReader
from netd.topology.rates import link_counters

from .show import document_of
from .view.keyboard import Keyboard
from .view.load import Load
from .wait import seconds

#: Seconds for an answer of the daemon.
PATIENCE = 10.0
#: Seconds between two readings of counters.
EACH = 1.0
Counters = Callable[[], dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd top``."""
    parser.add_argument(
        "--json", action="store_true", help="print a line of JSON for each interval instead of a screen"
    )
    parser.add_argument("-d", "--delay", metavar="SECONDS", type=seconds, default=EACH, help="the interval (1)")
    parser.add_argument("-n", "--count", metavar="COUNT", type=int, default=0, help="end after so many intervals")


def run(options: argparse.Namespace) -> int:
    """The screen, or lines of JSON."""
    if not options.json and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("'netd top' needs a terminal: 'netd top --json' and 'netd watch' do not")
    load, counters = Load(), source(options.state_dir)
    follow(options.state_dir, load)
    try:
        if options.json:
            return print_lines(options, load, counters)
        from .view.top import Screen  # rich takes a tenth of a second

        with Keyboard() as keyboard:
            return Screen(load, keyboard, options, lambda name: document_of(options, name)).run(counters)
    except KeyboardInterrupt:
        return 0


def print_lines(options: argparse.Namespace, load: Load, counters: Counters) -> int:
    """One line for each interval."""
    load.take(counters())
    number = 0
    while not options.count or number < options.count:
        time.sleep(options.delay)
        load.take(counters())
        print(json.dumps(load.json()), flush=True)
        number += 1
    return 0


def source(state_dir: str) -> Counters:
    """Where counters come from: the daemon, else (for root) the kernel."""

    def of_daemon() -> dict[str, Any]:
        return ask(state_dir, {"verb": "rates"}, timeout=PATIENCE)

    try:
        of_daemon()
        return of_daemon
    except NetdError:
        if os.geteuid() != 0:
            raise
    kernel = Kernel()
    mirror = Mirror(kernel, watch=False)
    reader = KernelLinkReader(mirror)

    def of_kernel() -> dict[str, Any]:
        found: dict[str, Any] = {}
        when = time.time()
        for netns in (HOST, *kernel.names()):
            with mirror.reading():
                found |= link_counters(mirror, reader, netns)
        return {"time": when, "links": found}

    return of_kernel


def follow(state_dir: str, load: Load) -> None:
    """Takes what the daemon says of states and repairs, in a thread; again after its restart."""

    def read() -> None:
        while True:
            try:
                for event in replies(state_dir, {"verb": "watch"}):
                    load.event(event)
            except NetdError:
                pass
            load.away()
            time.sleep(EACH)

    threading.Thread(target=read, daemon=True).start()
