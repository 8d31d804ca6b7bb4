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


class _WithCopies(ConfigDirectory):
    """The directory with ``copies`` instead of the files of these names (or as additional files)."""

    def __init__(self, config_dir: str, cache_dir: str | None, copies: Sequence[str]) -> None:
        super().__init__(config_dir, cache_dir, trusted=False)
        self._replaced = {place(config_dir, copy): os.path.abspath(copy) for copy in copies}

    def _list(self) -> list[str]:
        return sorted({*super()._list(), *self._replaced})

    def _take(self, path: str, deadline: float) -> FileVersion | None:
        copy = self._replaced.get(path)
        if copy is None:
            return super()._take(path, deadline)
        version = super()._take(copy, deadline)
        if version is None:
            raise UsageError(f"{printable(copy)}: there is no such file")
        if not version.parsed.readable:
            return replace(version, path=path)
        # Objects are declared by the file that they would be declared by.
        return replace(version, path=path, parsed=parse(path, version.parsed.source.text.encode(), self._machine))


def preview(config_dir: str, cache_dir: str, against: str) -> Config:
    """What ``against`` would declare. UsageError if it is not there, or is no configuration file."""
    if not against:
        raise UsageError("a path cannot be empty: it would be the directory that netd is started in")
    if not os.path.isdir(against):
        return preview_files(config_dir, cache_dir, [against])
    reader = ConfigDirectory(against, None, trusted=False, paths=_files(against))
    with without_collector():
        return reader.read(wait=PATIENCE)


def preview_files(config_dir: str, cache_dir: str, copies: Sequence[str], *, warn: bool = False) -> Config:
    """What the directory would declare with these files in it. UsageError for what is no configuration file."""
    for copy in copies:
        shown = printable(copy)
        if not os.path.lexists(copy):
            raise UsageError(f"{shown}: there is no such file or directory")
        if not copy.endswith(ENDING) or os.path.basename(copy)[0] in ".#":
            raise UsageError(f"{shown} is no configuration file: their names end in {ENDING}, hidden ones do not count")
    reader = _WithCopies(config_dir, cache_dir, copies)
    with without_collector():
        config = reader.read(wait=PATIENCE, warn=warn)
    return _named(config, config_dir, copies)


def _files(directory: str) -> Sequence[str]:
    return config_files(os.path.abspath(directory))


def place(config_dir: str, copy: str) -> str:
    """The file of the directory that a copy stands for."""
    return os.path.join(os.path.abspath(config_dir), os.path.basename(copy))


def _named(config: Config, config_dir: str, copies: Sequence[str]) -> Config:
    """Errors name the copy, not the file that it would replace."""
    names = {place(config_dir, copy): copy for copy in copies}
    problems = tuple(replace(each, file=names.get(each.file, each.file)) for each in config.problems)
    return replace(config, problems=problems)
