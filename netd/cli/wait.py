"""``netd wait``: until the network stands. Exit: 0 it does, 1 not in time."""

from __future__ import annotations

import argparse
import sys
import time

from netd.errors import Silent, UsageError
from netd.report.status import ask

#: Seconds between two attempts to reach a daemon that is not there yet, or is starting again.
AGAIN = 0.05
#: The daemon keeps the time: so many seconds more for its answer, in case it hangs.
LATE = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd wait``."""
    parser.add_argument(
        "objects",
        metavar="OBJECT",
        nargs="*",
        help="wait until these are ok, as in 'netd status --all'; without: until all are that wait for nothing foreign",
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, default=120.0, help="at most this long (120; 0: for ever)"
    )


def seconds(text: str) -> float:
    """A number of seconds; ValueError for what is none, as argparse wants it."""
    value = float(text)
    if not 0 <= value < 1e9:
        raise ValueError(text)
    return value


def run(options: argparse.Namespace) -> int:
    """Also waits for the daemon, and for one that is started again meanwhile."""
    end = time.monotonic() + options.timeout if options.timeout else None
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        try:
            reply = ask(
                options.state_dir,
                {"verb": "wait", "objects": options.objects, "timeout": left},
                timeout=None if left is None else left + LATE,
            )
            break
        except (UsageError, Silent) as error:
            if end is not None and end - time.monotonic() <= AGAIN:
                print(f"netd: {error}", file=sys.stderr)
                return 1
        time.sleep(AGAIN)
    for text in reply["not_ready"]:
        print(f"netd: {text}", file=sys.stderr)
    return 1 if reply["not_ready"] else 0
