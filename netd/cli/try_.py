"""``netd try``: puts files into force until they are confirmed. Exit: 0 kept, 1 put back."""

from __future__ import annotations

import argparse

from .arguments import duration
from .confirmation import tried
from .main import need_root

#: Said after Ctrl-C.
INTERRUPTED = "interrupted: the daemon puts the files back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd try``."""
    parser.add_argument(
        "paths", metavar="FILE", nargs="+", help="new versions of files of the directory, or new files, by their names"
    )
    parser.add_argument(
        "--timeout",
        metavar="DURATION",
        type=duration,
        default=60.0,
        help="the files are put back after this time (60s)",
    )
    parser.add_argument("--test", action="store_true", help="try the checks of the files before asking")


def run(options: argparse.Namespace) -> int:
    """Checks the files first: what is not valid is not tried."""
    need_root("try")
    return tried(options, options.paths, options.timeout, options.test)
