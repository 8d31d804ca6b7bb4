"""The line of a declaration: files are read when the first line in them is asked for."""

from __future__ import annotations

import tomli

from netd.config.diagnostics.problem import Source, printable
from netd.config.patterns.expand import expand
from netd.model.desired import Origin


class Places:
    """Text for origins: "/etc/netd/lab.toml:3", with "(n = 7)" behind it for a pattern.

    Without a line where the file cannot be read now.
    """

    def __init__(self) -> None:
        self._sources: dict[str, Source | None] = {}

    def text(self, origin: Origin) -> str:
        """FILE:LINE, and the numbers of a pattern."""
        if origin.file not in self._sources:
            self._sources[origin.file] = read_source(origin.file)
        source = self._sources[origin.file]
        line = source.shown_line(origin.path) if source is not None else "0"
        return printable(origin.file) if line.startswith("0") else f"{printable(origin.file)}:{line}"


def read_source(path: str) -> Source | None:
    """The text of a file as it is now, None if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            source = Source(path, file.read())
        source.data = tomli.loads(source.text)
        expand(source)
    except (OSError, ValueError, RecursionError):
        return None
    return source
