"""``netd watch``: the state, then every change as it happens, until Ctrl-C. Exit: 0; 1 where the daemon ends.

The daemon is asked, also by members of its group.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netd.errors import UsageError
from netd.report.status import replies

from .view.names import means, row_of
from .view.style import has_color
from .view.watch import event_line

ENDED = "the daemon has ended: 'netd watch' shows no more"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd watch``."""
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="only these: an object, a link ([NAMESPACE:]LINK), a namespace, a file"
    )
    parser.add_argument("--json", action="store_true", help="print each line as JSON")
    parser.add_argument("--no-state", action="store_true", help="only what happens from now on, without the state")


def run(options: argparse.Namespace) -> int:
    """Prints lines until Ctrl-C."""
    request = {"verb": "watch", "state": not options.no_state}
    try:
        for event in chosen(replies(options.state_dir, request), options.names):
            print(shown(event, options.json), flush=True)
    except KeyboardInterrupt:
        return 0
    raise UsageError(ENDED)


def shown(event: Mapping[str, Any], as_json: bool) -> str:
    """One line."""
    return json.dumps(event) if as_json else event_line(event, has_color(sys.stdout))


def chosen(events: Iterator[dict[str, Any]], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The lines that are about these names, and those about the whole."""
    return (event for event in events if not names or about_one(event, names))


def about_one(event: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether a line is about one of these names."""
    if event["type"] == "lost":
        return True
    row = row_of(event["object"] or "", event["file"] or "")
    return any(means(name, row) for name in names)
