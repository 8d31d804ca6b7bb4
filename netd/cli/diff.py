"""``netd diff``: what differs between the files and the kernel. Exit: 0 in sync, 2 differs, 1 error."""

from __future__ import annotations

import argparse
import json
import sys

from netd.config import Config
from netd.config.read.preview import preview
from netd.errors import UsageError
from netd.model.status import State
from netd.report.text import changes_json

from .main import need_root
from .progress import Progress
from .setup import add_paths, must_be_known, open_engine, print_problems, read_files, scope_of
from .view.changes import diff_lines
from .view.style import has_color

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before the comparison was complete; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd diff``."""
    add_paths(parser, "compare only the objects of this file or directory")
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")
    parser.add_argument(
        "--against",
        metavar="PATH",
        help="preview an edited copy: of the whole configuration directory, or of one file in it (by its name)",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the changes that ``netd apply`` would make."""
    need_root("diff")
    with Progress(lambda seconds: f"comparing the files with the network, {seconds:.0f} s"):
        config, narrowed = wanted(options)
        engine = open_engine(options, write=False)
        must_be_known(options.paths, options.config_dir, engine.ledger)
        engine.set_desired(config.desired, config.unknown)
        changes, rows = engine.compare(scope_of(narrowed))
    print_problems(config)
    if config.errors and options.against is not None:
        return 1  # what it would remove is unknown
    troubles = [row for row in rows if row.state not in (State.OK, State.PENDING)]
    if options.json:
        print(json.dumps(changes_json(changes, rows), indent=2))
    else:
        wrong = sum(each.state != "ok" for each in config.files)
        for line in diff_lines(changes, rows, wrong, has_color(sys.stdout)):
            print(line)
    if config.errors:
        return 1
    return 2 if changes or troubles else 0


def wanted(options: argparse.Namespace) -> tuple[Config, frozenset[str] | None]:
    """The files, or with ``--against`` what they would be; and the paths that narrow them."""
    if options.against is None:
        return read_files(options, write=False)
    if options.paths:
        raise UsageError("either PATH or --against: a preview is one of the whole configuration")
    return preview(options.config_dir, options.cache_dir, options.against), None
