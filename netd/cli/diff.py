"""``netd diff``: what differs between the files and the kernel. Exit: 0 in sync, 2 differs, 1 error."""

from __future__ import annotations

import argparse
import json

from netd.model.status import State
from netd.report.text import change_lines, changes_json, state_lines

from .main import need_root
from .setup import add_paths, open_engine, read_files, scope_of

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before the comparison was complete; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd diff``."""
    add_paths(parser, "compare only the objects of this file or folder")
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")


def run(options: argparse.Namespace) -> int:
    """Prints the changes that ``netd apply`` would make."""
    need_root("diff")
    config, narrowed = read_files(options, write=False)
    engine = open_engine(options, write=False)
    engine.set_desired(config.desired, config.unknown)
    changes, rows = engine.compare(scope_of(narrowed))
    troubles = [row for row in rows if row.state not in (State.OK, State.PENDING)]
    if options.json:
        print(json.dumps(changes_json(changes, rows), indent=2))
    else:
        for change in changes:
            print("\n".join(change_lines(change)))
        for line in state_lines(rows):
            print(line)
        waiting = sum(row.state is State.PENDING for row in rows)
        said = f"{len(changes)} differ" if changes or troubles else "in sync"
        print(f"{said}, {len(rows)} objects" + (f", {waiting} pending" if waiting else ""))
    if config.errors:
        return 1
    return 2 if changes or troubles else 0
