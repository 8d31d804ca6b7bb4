"""``netd reload``: the daemon reads its files now. Exit: 0 all are in force, 1 with the errors."""

from __future__ import annotations

import argparse
import sys
import threading

from netd.report.status import ask

from .progress import Progress

#: Seconds after which it prints that it still waits. There is no time limit: a large pass can take long.
PATIENCE = 5.0

#: Said after Ctrl-C.
INTERRUPTED = "interrupted while waiting: the daemon reads the files nevertheless"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``netd reload`` has no arguments."""


def say_still() -> None:
    """Prints, in another thread, that it still waits. A terminal shows the time anyway."""
    if sys.stderr.isatty():
        return
    print("netd: still waiting for the daemon: 'netd status' shows whether it answers", file=sys.stderr)


def run(options: argparse.Namespace) -> int:
    """Waits for the pass. The states of the objects are shown by ``netd status``."""
    still = threading.Timer(PATIENCE, say_still)
    still.start()
    try:
        with Progress(lambda seconds: f"waiting for the daemon, {seconds:.0f} s"):
            reply = ask(options.state_dir, {"verb": "reload"})
    finally:
        still.cancel()
    warnings = [text for each in reply.get("files", []) for text in each.get("warnings", [])]
    for text in (*reply.get("errors", []), *warnings):
        print(text, file=sys.stderr)
    print(reply.get("summary", ""))
    return 1 if reply.get("errors") else 0
