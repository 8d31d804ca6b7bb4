"""``netd status``: the state of the daemon and its objects. Exit: 0 converged, 2 not, 1 no daemon."""

from __future__ import annotations

import argparse
import json
import shutil
import time

from netd.model.status import State
from netd.report.status import ask

from .view.names import LISTS, listed
from .view.status import Query, narrowed, screen

#: Seconds for the answer: the daemon also answers between two portions of a large pass.
PATIENCE = 10.0
#: Columns and lines of a screen where there is no terminal ($COLUMNS and $LINES say otherwise).
SCREEN = (120, 40)
#: Said after Ctrl-C.
INTERRUPTED = "interrupted while waiting for the daemon; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd status``."""
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="only these: an object, a link ([NAMESPACE:]LINK), a namespace, a file"
    )
    parser.add_argument("--all", action="store_true", help="list every object, and all files and namespaces")
    parser.add_argument(
        "--state",
        metavar="STATE",
        action="append",
        default=[],
        choices=[state.value for state in State],
        help=f"only objects in this state ({', '.join(State)}); may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    # For the completion in shells.
    parser.add_argument("--list", choices=LISTS, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Prints the objects with problems, then files and namespaces, as much as fits on the screen."""
    reply = ask(options.state_dir, {"verb": "status"}, timeout=PATIENCE)
    columns, lines = shutil.get_terminal_size(SCREEN)
    if options.list:
        print("\n".join(listed(reply, options.list)))
        return 0
    query = Query(options.names, options.state, options.all, time.time(), lines, columns)
    if options.json:
        print(json.dumps({**reply, "objects": list(narrowed(reply, query))}, indent=2))
    else:
        print("\n".join(screen(reply, query)))
    return 0 if reply.get("state") == "converged" else 2
