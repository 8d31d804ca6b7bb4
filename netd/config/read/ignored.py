"""Entries of the configuration directory that are not read. They are reported, so that nobody expects an effect."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from .files import ENDING


class Ignored(NamedTuple):
    """``reason``: a sentence without its subject."""

    path: str
    reason: str


def ignored_files(directory: str) -> list[Ignored]:
    """In the order of their names. Hidden files and temporary files of editors are left out."""
    found = []
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.name[0] in ".#" or entry.name.endswith(("~", ".swp", ".tmp")):
                continue
            if entry.is_dir() and not entry.name.endswith(ENDING):
                found.append(Ignored(entry.path, "is a directory: only the files in its parent directory are read"))
            elif not entry.name.endswith(ENDING):
                found.append(Ignored(entry.path, f"does not end in {ENDING}"))
    return found
