"""``netd apply``: applies the files once, verifies the result, and exits. Exit: 0 converged, 1 not."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import chain

from netd.config.trial import put_back, unfinished
from netd.model.change import Change, ChangeResult
from netd.model.key import Key
from netd.model.status import State, Status, overall, summary
from netd.report.lock import Lock
from netd.report.text import change_lines, changes_json, state_lines

from .main import need_root
from .setup import add_paths, must_be_known, open_engine, print_problems, print_trouble, read_files, scope_of
from .work import Work

#: Seconds to wait for what becomes usable by itself (an address, a port of a bridge), and for what may do so.
PATIENCE, FEW = 60.0, 1.5
#: Said after Ctrl-C.
INTERRUPTED = "interrupted before anything was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd apply``."""
    add_paths(parser, "apply only the objects of this file or directory")
    parser.add_argument("--json", action="store_true", help="print what was changed as JSON")


def run(options: argparse.Namespace) -> int:
    """One pass; prints everything that it changed."""
    need_root("apply")
    lock = Lock(options.state_dir, "apply")
    try:
        put_back_unfinished(options.config_dir)
        config, narrowed = read_files(options, write=True)
        print_problems(config)
        engine = open_engine(options, write=True)
        must_be_known(options.paths, options.config_dir, engine.ledger)
        scope = scope_of(narrowed)
        work = Work(engine)
        engine.set_desired(config.desired, config.unknown)

        def left() -> list[Key]:
            fresh = open_engine(options, write=False)
            fresh.set_desired(config.desired, config.unknown)
            return [change.key for change in fresh.compare(scope)[0]]

        portions = chain(engine.converge(scope=scope), engine.wait_until_usable(scope, PATIENCE, FEW))
        interrupted = work.run(portions, "apply", left)
        if interrupted is not None:
            return interrupted
        engine.kernel.finish()
        rows = engine.statuses(scope)
        show(options.json, work.done, work.refused, rows)
        print_trouble(engine)
    finally:
        lock.release()
    return 0 if overall(rows) == "converged" and not config.errors and not work.refused else 1


def put_back_unfinished(config_dir: str) -> None:
    """What a daemon that was killed left half-tried. Nobody runs it now: the lock is held."""
    for record in unfinished(config_dir):
        for text in [f"put back: an unfinished 'netd try' of {len(record.files)} files", *put_back(record)]:
            print(f"netd: {text}", file=sys.stderr)


def show(as_json: bool, done: list[Change], refused: list[ChangeResult], rows: list[Status]) -> None:
    """Prints the failures, and a summary of the states."""
    if as_json:
        print(json.dumps(changes_json(done, rows), indent=2))
        return
    for change in done:
        print("\n".join(change_lines(change)))
    for one in refused:
        print(f"failed: {one.change.action} {one.change.key}: {one.error}", file=sys.stderr)
    for line in state_lines(rows):
        print(line, file=sys.stderr if not line.startswith(State.PENDING.value) else sys.stdout)
    print(f"{len(done)} changes; {summary(rows)}")
