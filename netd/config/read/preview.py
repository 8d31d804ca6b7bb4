"""The configuration with an edited copy: of the whole directory, or of one file in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from netd.config.diagnostics.problem import printable
from netd.config.parse.parser import parse
from netd.errors import UsageError

from .directory import Config, ConfigDirectory, FileVersion
from .files import ENDING, config_files
from .selection import without_collector

#: Seconds for a copy that is still being written.
PATIENCE = 1.0


class _WithCopy(ConfigDirectory):
    """The directory with ``copy`` instead of the file of that name (or as an additional file)."""

    def __init__(self, config_dir: str, cache_dir: str | None, copy: str) -> None:
        super().__init__(config_dir, cache_dir, trusted=False)
        self._copy = os.path.abspath(copy)
        self._replaced = os.path.join(os.path.abspath(config_dir), os.path.basename(copy))

    def _list(self) -> list[str]:
        return sorted({*super()._list(), self._replaced})

    def _take(self, path: str, deadline: float) -> FileVersion | None:
        if path != self._replaced:
            return super()._take(path, deadline)
        version = super()._take(self._copy, deadline)
        if version is None:
            raise UsageError(f"{printable(self._copy)}: there is no such file")
        if not version.parsed.readable:
            return replace(version, path=path)
        # Objects are declared by the file that they would be declared by.
        return replace(version, path=path, parsed=parse(path, version.parsed.source.text.encode(), self._machine))


def preview(config_dir: str, cache_dir: str, against: str) -> Config:
    """What ``against`` would declare. UsageError if it is not there, or is no configuration file."""
    if not against:
        raise UsageError("a path cannot be empty: it would be the directory that netd is started in")
    shown = printable(against)
    if os.path.isdir(against):
        reader: ConfigDirectory = ConfigDirectory(against, None, trusted=False, paths=_files(against))
    elif not os.path.lexists(against):
        raise UsageError(f"{shown}: there is no such file or directory")
    elif not against.endswith(ENDING) or os.path.basename(against)[0] in ".#":
        raise UsageError(f"{shown} is no configuration file: their names end in {ENDING}, hidden ones do not count")
    else:
        reader = _WithCopy(config_dir, cache_dir, against)
    with without_collector():
        config = reader.read(wait=PATIENCE)
    return _named(config, config_dir, against)


def _files(directory: str) -> Sequence[str]:
    return config_files(os.path.abspath(directory))


def _named(config: Config, config_dir: str, against: str) -> Config:
    """Errors name the copy, not the file that it would replace."""
    if os.path.isdir(against):
        return config
    path = os.path.join(os.path.abspath(config_dir), os.path.basename(against))
    problems = tuple(replace(each, file=against) if each.file == path else each for each in config.problems)
    return replace(config, problems=problems)
