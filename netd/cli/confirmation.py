"""Files that are put into force until they are confirmed: what `netd try` and `netd edit` have in common."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from netd.config import printable
from netd.config.read.preview import preview_files
from netd.config.trial import put_back, stage_files, unfinished, unstage
from netd.errors import Busy, NetdError, UsageError
from netd.report.lock import Lock

from .hold import Hold, confirmed, wait_until_up
from .progress import Progress
from .setup import print_problems
from .test import once

#: Seconds that a killed daemon has to end, or a new one to put the files back, and between two looks.
PATIENCE, AGAIN = 10.0, 0.05


def tried(options: argparse.Namespace, paths: Sequence[str], timeout: float, test: bool) -> int:
    """The whole of it; the exit status."""
    files = read(options.config_dir, paths)
    config = preview_files(options.config_dir, options.cache_dir, paths, warn=True)
    print_problems(config)
    if config.errors:
        print("nothing was changed: the files have errors", file=sys.stderr)
        return 1
    directory = os.path.realpath(options.config_dir)
    stage = stage_files(directory, files)
    try:
        hold = Hold(options.state_dir, stage, sorted(files), timeout)
    except Busy:
        unstage(directory, stage)
        raise
    except UsageError:
        # There is no daemon; if it was killed just now, the files may be in force.
        without_daemon(options)
        unstage(directory, stage)
        raise
    return held(hold, options, test)


def held(hold: Hold, options: argparse.Namespace, test: bool) -> int:
    """From the moment that the files are in force."""
    with Progress(lambda seconds: f"waiting until the network is up, {seconds:.0f} s"):
        missing = wait_until_up(hold)
    for text in missing:
        print(f"netd: {text}", file=sys.stderr)
    if not missing:
        print("the network is up with the new files")
        if test:
            once(argparse.Namespace(**vars(options) | {"names": [], "json": False, "junit": None}))
    if not hold.over(0) and confirmed(hold):
        try:
            hold.keep()
        except Busy as error:
            print(f"netd: {error}", file=sys.stderr)
    elif not hold.over(0):
        hold.give_up()
    return concluded(hold.outcome(), options)


def without_daemon(options: argparse.Namespace) -> dict[str, Any]:
    """The daemon was killed: a new one puts the files back when it starts, and without one this command does."""
    end = time.monotonic() + PATIENCE
    said: list[str] = []
    while unfinished(options.config_dir) and time.monotonic() < end:
        try:
            lock = Lock(options.state_dir, "try")
        except Busy:
            time.sleep(AGAIN)  # the old daemon has not quite ended, or the new one is about to put them back
            continue
        try:
            for record in unfinished(options.config_dir):
                said += put_back(record)
        finally:
            lock.release()
    return {"state": "put back", "reason": "the daemon has ended", "said": said}


def concluded(outcome: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Says what became of it."""
    if outcome.get("state") == "lost":
        outcome = without_daemon(options)
    if outcome.get("state") == "kept":
        print("kept")
        return 0
    for text in outcome.get("said", []):
        print(f"netd: {text}", file=sys.stderr)
    reason = outcome.get("reason") or outcome.get("error", "")
    print(f"put back: {reason}")
    return 1


def read(config_dir: str, paths: Sequence[str]) -> Mapping[str, bytes]:
    """The files by their names. UsageError for what cannot be tried."""
    found: dict[str, bytes] = {}
    for path in paths:
        name, shown = os.path.basename(path), printable(path)
        if os.path.realpath(os.path.dirname(path) or ".") == os.path.realpath(config_dir):
            raise UsageError(
                f"{shown} is in force already: try a copy of it, from another directory ('netd edit' does so)"
            )
        if name in found:
            raise UsageError(f"two of these files are called {printable(name)}")
        try:
            with open(path, "rb") as file:
                found[name] = file.read()
        except OSError as error:
            raise UsageError(f"{shown}: {error.strerror}") from None
    if not os.path.isdir(config_dir):
        raise NetdError(f"{printable(config_dir)}: there is no such directory")
    return found
