"""``netd reload``: the daemon reads its files now. Exit: 0 all taken, 1 with the errors."""

from __future__ import annotations

import argparse
import sys

from netd.report.status import ask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``netd reload`` has no arguments."""


def run(options: argparse.Namespace) -> int:
    """Waits for the round. How the objects stand is for ``netd status`` to say."""
    reply = ask(options.state_dir, {"verb": "reload"})
    for text in reply.get("errors", []):
        print(text, file=sys.stderr)
    print(reply.get("summary", ""))
    return 1 if reply.get("errors") else 0
