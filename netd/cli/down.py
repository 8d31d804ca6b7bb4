"""``netd down``: removes what netd created. Exit: 0 all removed, 1 not."""

from __future__ import annotations

import argparse
import os
import sys

from netd.config import named
from netd.engine.scope import Scope
from netd.model.key import Key
from netd.report.lock import Lock
from netd.report.text import change_lines

from .main import need_root
from .setup import add_paths, must_be_known, open_engine, print_trouble
from .work import Work

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before anything was removed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd down``."""
    add_paths(parser, "remove only what this file (or the files of this directory) declared, even if it is gone")
    parser.add_argument(
        "--orphans", action="store_true", help="also remove objects with netd's mark that the ledger does not know"
    )
    parser.add_argument("--adopted", action="store_true", help="also remove adopted objects, which existed before netd")


def run(options: argparse.Namespace) -> int:
    """Removes what the ledger has, and restores what netd found."""
    need_root("down")
    lock = Lock(options.state_dir, "down")
    try:
        engine = open_engine(options, write=True)
        must_be_known(options.paths, options.config_dir, engine.ledger)
        work = Work(engine)
        known = frozenset(name for key in engine.ledger if (record := engine.ledger.get(key)) for name in record.files)
        files = ledger_files(known, named(options.config_dir, options.paths)) if options.paths else None

        def left() -> list[Key]:
            fresh = open_engine(options, write=False)
            fresh.set_desired({})
            return [change.key for change in fresh.compare(Scope())[0]]

        portions = engine.take_down(files, orphans=options.orphans, adopted=options.adopted)
        interrupted = work.run(portions, "down", left)
        if interrupted is not None:
            return interrupted
        if files is None:
            engine.faults.drop(engine.faults.all())
        print_trouble(engine)
    finally:
        lock.release()
    for change in work.done:
        print("\n".join(change_lines(change)))
    for one in work.refused:
        print(f"failed: {one.change.action} {one.change.key}: {one.error}", file=sys.stderr)
    for key in engine.find_orphans():
        print(f"left: {key}: has netd's mark, but is not in the ledger ('netd down --orphans' removes it)")
    print(f"{len(work.done)} objects removed")
    return 1 if work.refused else 0


def ledger_files(known: frozenset[str], paths: frozenset[str]) -> frozenset[str]:
    """The files that PATHs mean: themselves, or what the ledger has of a directory."""
    return paths | {name for name in known if os.path.dirname(name) in paths}
