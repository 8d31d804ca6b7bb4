"""Where tables that come of a pattern are written: their paths in the file, and the numbers that they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .positions import TomlPath, member

Numbers = tuple[tuple[str, int], ...]


class Place(NamedTuple):
    """A path as it is in the text, and the numbers of the ranges in it."""

    path: TomlPath
    numbers: Numbers


class Places:
    """From the paths of expanded tables to those in the text. ``raw``: the file as it was read."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self._places: dict[TomlPath, list[Place]] = {}

    def add(self, path: TomlPath, place: Place) -> None:
        """What is at ``path`` after the expansion is written, in whole or in part, at this place."""
        self._places.setdefault(path, []).append(place)

    def of(self, path: TomlPath) -> Place:
        """The place of a path. Of several tables that became one, the one that has what is at the path."""
        for length in range(len(path), 0, -1):
            found = self._places.get(path[:length])
            if found is not None:
                rest = path[length:]
                best = max(found, key=lambda place: self._depth((*place.path, *rest))) if len(found) > 1 else found[0]
                return Place((*best.path, *rest), best.numbers)
        return Place(path, ())

    def _depth(self, path: TomlPath) -> int:
        """How many parts of a path are in the text."""
        level: Any = self._raw
        for number, part in enumerate(path):
            level = member(level, part)
            if level is None:
                return number
        return len(path)


def shown_numbers(numbers: Numbers) -> str:
    """ "(n = 7, port = 2) ", and nothing without numbers."""
    return f"({', '.join(f'{name} = {value}' for name, value in numbers)}) " if numbers else ""
