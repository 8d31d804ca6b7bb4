"""The line of a declaration: files are read when the first line in them is asked for."""

from __future__ import annotations

from netd.config.diagnostics.problem import Source, printable
from netd.model.desired import Origin


class Places:
    """Text for origins: "/etc/netd/lab.toml:3"; without a line where the file cannot be read now."""

    def __init__(self) -> None:
        self._sources: dict[str, Source | None] = {}

    def text(self, origin: Origin) -> str:
        """FILE:LINE."""
        if origin.file not in self._sources:
            self._sources[origin.file] = read_source(origin.file)
        source = self._sources[origin.file]
        line = source.line(origin.path) if source is not None else 0
        return f"{printable(origin.file)}:{line}" if line else printable(origin.file)


def read_source(path: str) -> Source | None:
    """The text of a file as it is now, None if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return Source(path, file.read())
    except (OSError, ValueError):
        return None
