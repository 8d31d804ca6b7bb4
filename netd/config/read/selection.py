"""The meaning of PATH arguments: files of the directory, or other files that are read instead."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from netd.config.diagnostics.problem import printable
from netd.errors import UsageError

from .directory import Config, ConfigDirectory
from .files import ENDING


def load(
    config_dir: str, cache_dir: str | None, paths: Sequence[str], *, trusted: bool, wait: float, write: bool,
    warn: bool = False,
) -> tuple[Config, frozenset[str] | None]:  # fmt: skip
    """The configuration of a command, and the paths that limit it (a directory: all files in it; None: everything).

    A path in the configuration directory limits the command; other paths are read instead of the directory.
    """
    directory = os.path.abspath(config_dir)
    inside = [_inside(path, directory) for path in paths]
    narrow = named(config_dir, paths)
    if paths and all(known is None for known in inside):
        reader = ConfigDirectory(directory, cache_dir, trusted=trusted, paths=sorted(narrow))
    elif None in inside:
        raise UsageError(f"some of these paths are in {printable(directory)} and some are not: do not mix them")
    else:
        reader = ConfigDirectory(directory, cache_dir, trusted=trusted)
    with without_collector():
        config = reader.read(wait=wait, write=write, warn=warn)
    return config, narrow if paths else None


@contextmanager
def without_collector() -> Iterator[None]:
    """The result stays in memory and has no reference cycles: a garbage collection takes as long as reading it."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def named(config_dir: str, paths: Sequence[str]) -> frozenset[str]:
    """Paths in the form that objects have: those in the directory start with its name as it was given."""
    directory = os.path.abspath(config_dir)
    return frozenset(_inside(path, directory) or os.path.abspath(path) for path in paths)


def _inside(path: str, directory: str) -> str | None:
    """The path as the directory's files are named, None where it is not one of them."""
    if not path:
        raise UsageError("a path cannot be empty: it would be the directory that netd is started in")
    full = os.path.abspath(path)
    real = os.path.realpath(directory)
    if os.path.realpath(full) == real:
        return directory
    if os.path.realpath(os.path.dirname(full)) != real or os.path.isdir(full):
        return None
    name = os.path.basename(full)
    if not name.endswith(ENDING) or name[0] in ".#":
        why = f"their names end in {ENDING}, hidden ones do not count"
        raise UsageError(f"{printable(path)} is no configuration file: {why}")
    return os.path.join(directory, name)
