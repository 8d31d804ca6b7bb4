"""``netd check``: validates the files as they are written. Exit: 0 valid, 1 not."""

from __future__ import annotations

import argparse
import os
import sys

from netd.config import Config, Problem, load, printable
from netd.config.read.ignored import ignored_files

#: Said after Ctrl-C.
INTERRUPTED = "interrupted: not all files were checked; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd check``."""
    parser.add_argument("paths", metavar="PATH", nargs="*", help="check only this file or directory")
    parser.add_argument("--strict", action="store_true", help="warnings fail too")


def run(options: argparse.Namespace) -> int:
    """Prints every problem of all files, and one line that sums them up."""
    config, narrowed = load(options.config_dir, None, options.paths, trusted=False, wait=1.0, write=False, warn=True)
    missing = [path for path in options.paths if not os.path.lexists(path)]
    problems = [problem for problem in config.problems if concerns(problem, narrowed)]
    for path in missing:
        print(f"{printable(path)}: there is no such file or directory", file=sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    for each in ignored_files(options.config_dir) if narrowed is None else ():
        print(f"{printable(each.path)} is ignored: it {each.reason}", file=sys.stderr)
    errors = len(missing) + sum(not problem.warning for problem in problems)
    warnings = len(problems) + len(missing) - errors
    print(summary(config, narrowed, errors, warnings))
    return 1 if errors or (options.strict and warnings) else 0


def concerns(problem: Problem, narrowed: frozenset[str] | None) -> bool:
    """Whether a problem is about one of these files, or about one that loses an object to one of them."""
    return narrowed is None or any(covers(path, narrowed) for path in (problem.file, problem.other) if path)


def covers(path: str, narrowed: frozenset[str]) -> bool:
    """Whether a file is among these paths, or its directory is."""
    return path in narrowed or os.path.dirname(path) in narrowed


def summary(config: Config, narrowed: frozenset[str] | None, errors: int, warnings: int) -> str:
    """ "3 files, 41 objects: 2 errors, 1 warning"."""
    files = [state.path for state in config.files if narrowed is None or covers(state.path, narrowed)]
    objects = sum(narrowed is None or covers(each.file, narrowed) for each in config.desired.values())
    found = [counted(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    return f"{counted(len(files), 'file')}, {counted(objects, 'object')}: {', '.join(found) or 'valid'}"


def counted(number: int, word: str) -> str:
    """ "1 file", "2 files"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
