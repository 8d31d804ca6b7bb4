"""``netd wait``: until the network is up. Exit: 0 it is, 1 not in time."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from netd.errors import NetdError, Silent, UsageError
from netd.model.key import parse_key
from netd.report.status import ask

from .progress import Progress
from .view.names import suggestion

#: Seconds between two attempts to reach a daemon that is not there yet, or is starting again.
AGAIN = 0.05
#: The daemon applies the time limit: more seconds for its answer, in case it hangs.
LATE = 1.0
#: Seconds after which the daemon is asked again on a terminal, where what is missing is shown.
SLICE = 1.0
#: Seconds for the list of objects that a wrong name is compared with.
LIST_PATIENCE = 2.0
#: Said after Ctrl-C.
INTERRUPTED = "interrupted while waiting; the daemon continues"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd wait``."""
    parser.add_argument(
        "objects",
        metavar="OBJECT",
        nargs="*",
        help="wait until these objects (named as in 'netd status --all') are ok; "
        "default: all objects, except those that wait for a foreign one",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="wait for the files, too (all in force as written), and for everything that is pending",
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, default=120.0, help="at most this long (120; 0: no limit)"
    )


def seconds(text: str) -> float:
    """A number of seconds; ArgumentTypeError for what is none."""
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(text)) < 1e9:
            return value
    raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds, such as 30 or 2.5")


def run(options: argparse.Namespace) -> int:
    """Also waits for the daemon to start, or to restart."""
    must_be_names(options.objects, options.state_dir)
    waiting = Waiting(options)
    with Progress(lambda passed: f"waiting for {waiting.missing}, {passed:.0f} s"):
        missing = waiting.run()
    for text in missing:
        print(f"netd: {text}", file=sys.stderr)
    return 1 if missing else 0


class Waiting:
    """Asks until nothing is ``missing`` or the time is over."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._state_dir = options.state_dir
        self._request = {"verb": "wait", "objects": options.objects, "strict": options.strict}
        self._end = time.monotonic() + options.timeout if options.timeout else None
        self.missing = "the daemon"

    def run(self) -> Sequence[str]:
        """What is missing when the time is over; [] if nothing is."""
        shown = sys.stderr.isatty()
        while True:
            left = None if self._end is None else max(0.0, self._end - time.monotonic())
            limit = left if not shown else min(SLICE, left) if left is not None else SLICE
            try:
                missing: list[str] = self._ask(limit)["not_ready"]
                if not missing or (left is not None and limit == left):
                    return missing
                self.missing = missing[0] + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            except (UsageError, Silent) as error:
                self.missing = "the daemon"
                if self._end is not None and self._end - time.monotonic() <= AGAIN:
                    return [str(error)]
                time.sleep(AGAIN)

    def _ask(self, limit: float | None) -> dict[str, Any]:
        late = None if limit is None else limit + LATE
        return ask(self._state_dir, {**self._request, "timeout": limit}, timeout=late)


def must_be_names(names: Sequence[str], state_dir: str) -> None:
    """UsageError for an invalid name of an object, with a suggestion."""
    for name in names:
        try:
            parse_key(name)
        except ValueError as error:
            try:
                rows = ask(state_dir, {"verb": "status"}, timeout=LIST_PATIENCE)["objects"]
            except NetdError:
                rows = []
            raise UsageError(f"{error}{suggestion(name, rows)}") from None
