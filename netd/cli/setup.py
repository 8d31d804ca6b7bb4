"""What apply, diff and down have in common: the files, the ledger, the kernel."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence

from netd.config import Config, load, named, printable
from netd.containers import Containers
from netd.engine.faults import FILE as FAULTS
from netd.engine.faults import Faults
from netd.engine.ledger import Ledger
from netd.engine.mac_key import load_mac_key
from netd.engine.reconciler import Reconciler
from netd.engine.scope import Scope
from netd.errors import UsageError
from netd.kernel.kernel import Kernel

LEDGER = "ledger.jsonl"
LEDGER_ADVICE = "free some space, and run 'netd apply' again: otherwise netd loses the record of what it created"


def add_paths(parser: argparse.ArgumentParser, what: str) -> None:
    """The PATH arguments."""
    parser.add_argument("paths", metavar="PATH", nargs="*", help=what)


def read_files(options: argparse.Namespace, *, write: bool) -> tuple[Config, frozenset[str] | None]:
    """All files. ``write``: last good copies are kept."""
    return load(options.config_dir, options.cache_dir, options.paths, trusted=True, wait=1.0, write=write)


def must_be_known(paths: Sequence[str], config_dir: str, ledger: Ledger) -> None:
    """UsageError for a PATH that neither exists nor is in the ledger: a typing error must not look "in sync"."""
    missing = [path for path in paths if not os.path.lexists(path)]
    if not missing:
        return
    records = (ledger.get(key) for key in ledger)
    known = {file for record in records if record is not None for file in record.files}
    known |= {os.path.dirname(file) for file in known}
    for path in missing:
        if named(config_dir, [path]).isdisjoint(known):
            raise UsageError(f"{printable(path)}: there is no such file or directory, and netd created nothing for it")


def print_problems(config: Config) -> None:
    """Prints problems to stderr, in the format of compilers."""
    for problem in config.problems:
        print(problem, file=sys.stderr)


def print_trouble(engine: Reconciler) -> None:
    """Warns if the ledger could not be written: the next netd then does not know what was created."""
    if engine.ledger.trouble:
        print(f"netd: {engine.ledger.trouble}: {LEDGER_ADVICE}", file=sys.stderr)


def open_engine(options: argparse.Namespace, *, write: bool) -> Reconciler:
    """The engine of a command that runs once."""
    ledger = Ledger(os.path.join(options.state_dir, LEDGER), write=write)
    kernel = Kernel()
    kernel.report = lambda text: print(f"netd: {text}", file=sys.stderr)
    found = load_mac_key(options.cache_dir, write=write)
    if found.trouble:
        kernel.report(found.trouble)
    faults = Faults(os.path.join(options.state_dir, FAULTS))
    return Reconciler(kernel, ledger, Containers().locate, mac_key=found.key, faults=faults)


def scope_of(narrowed: Iterable[str] | None) -> Scope:
    """Everything, or the objects of these files."""
    return Scope(None if narrowed is None else frozenset(narrowed))
