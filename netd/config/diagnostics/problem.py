"""One problem in a file, and how it is shown: as compilers do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .places import Place, Places, shown_numbers
from .positions import Position, Positions, TomlPath

#: A longer source line is shown in part.
WIDEST = 160
#: The most characters of a message, and of a name in it, that are shown: a value can have megabytes.
LONGEST = 600
LONGEST_NAME = 300
#: The name of a secret, what may be one beside it, and what is one wherever it is: 32 bytes in base64.
SECRET, QUOTED, KEY = re.compile(r"(private|preshared)_?key\b"), re.compile(r"[^\s=]{2,}"), re.compile(r"[\w+/]{42,}=*")
DIGITS = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """``line`` 0: it is about the file as a whole. ``other`` is the second file of a clash."""

    file: str
    path: TomlPath
    message: str
    warning: bool = False
    line: int = 0
    column: int = 0
    length: int = 1
    source_line: str = ""
    other: str = ""
    #: The numbers of the pattern that it is about, "(n = 7) ".
    numbers: str = ""

    def __str__(self) -> str:
        word = "warning: " if self.warning else ""
        file, message = printable(self.file), self.numbers + printable(self.message)
        if not self.line:
            return f"{file}: {word}{message}"
        shown, column = self.source_line, self.column
        if len(shown) > WIDEST:
            start = max(0, column - WIDEST // 2)
            shown, column = shown[start : start + WIDEST], column - start
        # A tab before the caret stays one, so that the caret is below the part that it marks.
        before = "".join("\t" if character == "\t" else " " for character in shown[: column - 1])
        shown = "".join(
            character if character.isprintable() or character == "\t" else "\N{REPLACEMENT CHARACTER}"
            for character in shown
        )
        carets = "^" * max(1, min(self.length, len(shown) - column + 1))
        head = f"{file}:{self.line}:{self.column}: {word}{message}"
        return f"{head}\n{self.line:>5} | {shown}\n      | {before}{carets}"


def without_keys(line: str) -> str:
    """A source line without the secret keys in it; all others are where they were."""
    found = SECRET.search(line)
    line = line if found is None else line[: found.end()] + QUOTED.sub(stars, line[found.end() :])
    return KEY.sub(stars, line)


def stars(found: re.Match[str]) -> str:
    """As many."""
    return "*" * len(found[0])


def printable(name: str) -> str:
    """A name with control characters escaped, so that it cannot move the cursor."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def shortened(text: str, most: int) -> str:
    """A text, shortened in its middle if it is too long: the start names the object, the end the error."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-(most // 2) :]}"


class Source:
    """The text of one file, and the places in it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        #: As tomli read it, with patterns expanded; empty where it could not.
        self.data: Mapping[str, Any] = {}
        #: Where expanded tables are written; None in a file without patterns.
        self.places: Places | None = None
        self._positions: Positions | None = None
        self._rows: list[str] | None = None

    @property
    def positions(self) -> Positions:
        """Found when first needed: only problems need them."""
        if self._positions is None:
            self._positions = Positions(self.text)
        return self._positions

    def place(self, path: TomlPath) -> Place:
        """The path in the text of a path in ``data``."""
        return self.places.of(path) if self.places is not None else Place(path, ())

    def position(self, path: TomlPath) -> Position | None:
        """Where a table or key is written."""
        return self.positions.at(self.place(path).path)

    def shown_line(self, path: TomlPath) -> str:
        """The line of a table or key, with the numbers of its pattern: "3", "3 (n = 7)"."""
        place = self.place(path)
        return f"{self.line_written(place.path)} {shown_numbers(place.numbers)}".rstrip()

    def line_written(self, path: TomlPath) -> int:
        """The line of a path of the text, 0 where it is nowhere."""
        found = self.positions.at(path)
        return found.line if found else 0

    def problem(
        self, path: TomlPath, message: str, *, name: bool = False, warning: bool = False, other: str = ""
    ) -> Problem:
        """A problem at a path; ``name``: at the last part of it, not at the header of its table."""
        return self.problem_written(self.place(path), message, path, name=name, warning=warning, other=other)

    def problem_written(
        self, place: Place, message: str, path: TomlPath, *, name: bool = False, warning: bool = False, other: str = ""
    ) -> Problem:
        """A problem of what is at a place in the text, and at ``path`` in ``data``."""
        found = self.positions.name(place.path) if name else self.positions.at(place.path)
        problem = self.problem_at(found or Position(1, 1, 1), path, message, warning=warning, other=other)
        return replace(problem, numbers=shown_numbers(place.numbers)) if place.numbers else problem

    def problem_at(
        self, place: Position, path: TomlPath, message: str, *, warning: bool = False, other: str = ""
    ) -> Problem:
        """A problem at a line and column."""
        if self._rows is None:
            self._rows = self.text.split("\n")
        rows = self._rows
        row = without_keys(rows[place.line - 1].rstrip("\r")) if place.line <= len(rows) else ""
        message = shortened(message, LONGEST)
        return Problem(self.file, path, message, warning, place.line, place.column, place.length, row, other)


def collapsed(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """In their order. What is wrong for many numbers of a pattern alike is one problem, the first of them."""
    found: dict[tuple[object, ...], list[Problem]] = {}
    for number, each in enumerate(problems):
        place = (each.file, each.line, each.column, each.warning, DIGITS.sub("0", each.message))
        found.setdefault(place if each.numbers else (number,), []).append(each)
    return tuple(_first(group) for group in found.values())


def by_line(problem: Problem) -> tuple[bool, int, int]:
    """The order of problems in one file: those of the whole file last."""
    return not problem.line, problem.line, problem.column


def _first(group: list[Problem]) -> Problem:
    first, more = group[0], len(group) - 1
    last = group[-1].numbers.strip()
    return replace(first, message=f"{first.message} (and {more} more, up to {last[1:-1]})") if more else first
