"""``netd edit``: edits a copy of a file, checks it, shows what it changes, and tries it. Exit: 0 kept, 1 not."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

from netd.config import printable
from netd.config.read.files import ENDING
from netd.config.read.preview import preview
from netd.errors import UsageError

from . import diff
from .arguments import duration
from .confirmation import tried
from .main import need_root
from .setup import print_problems

#: Said after Ctrl-C.
INTERRUPTED = "interrupted: nothing was changed, or the daemon puts the file back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd edit``."""
    parser.add_argument("file", metavar="FILE", help="a file of the directory, or the name of a new one")
    parser.add_argument("--timeout", metavar="DURATION", type=duration, default=60.0, help="as of 'netd try' (60s)")
    parser.add_argument("--test", action="store_true", help="as of 'netd try'")


def run(options: argparse.Namespace) -> int:
    """The editor is $VISUAL, else $EDITOR, else `editor` or `vi`."""
    need_root("edit")
    name = os.path.basename(options.file)
    name = name if name.endswith(ENDING) else name + ENDING
    if os.path.dirname(options.file) and os.path.realpath(os.path.dirname(options.file)) != os.path.realpath(
        options.config_dir
    ):
        raise UsageError(
            f"{printable(options.file)} is not in {printable(options.config_dir)}: edit it, and 'netd try' it"
        )
    folder = tempfile.mkdtemp(prefix="netd-edit-")
    copy = os.path.join(folder, name)
    before = former(os.path.join(options.config_dir, name))
    with open(copy, "wb") as file:
        file.write(before)
    status = 1
    try:
        status = edited(options, copy, before)
        return status
    finally:
        if status == 0:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"your version is in {copy}", file=sys.stderr)


def former(path: str) -> bytes:
    """The file as it is; empty for a new one."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageError(f"{printable(path)}: {error.strerror}") from None


def edited(options: argparse.Namespace, copy: str, before: bytes) -> int:
    """Until the copy is valid, or the user gives up."""
    while True:
        edit(copy)
        if former(copy) == before:
            print("nothing was edited")
            return 0
        config = preview(options.config_dir, options.cache_dir, copy)
        print_problems(config)
        if not config.errors:
            break
        if not sys.stdin.isatty() or input("Enter edits it again, anything else gives up: ").strip():
            return 1
    differences(options, copy)
    return tried(options, [copy], options.timeout, options.test)


def edit(copy: str) -> None:
    """Runs the editor, and waits for it."""
    fallback = "editor" if shutil.which("editor") else "vi"
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or fallback)
    try:
        done = subprocess.run([*words, copy], check=False)
    except OSError as error:
        raise UsageError(f"{words[0]}: {error.strerror}: set $EDITOR") from None
    if done.returncode:
        raise UsageError(f"{words[0]} ended with status {done.returncode}: nothing was changed")


def differences(options: argparse.Namespace, copy: str) -> None:
    """What the copy changes, as ``netd diff --against`` shows it."""
    diff.run(argparse.Namespace(**vars(options) | {"against": copy, "paths": [], "json": False}))
