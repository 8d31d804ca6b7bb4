"""One string with patterns: its parts, and what it is with the values of the variables."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from .expression import Expression, Parser
from .values import Environment, Evaluate, PatternError, Value, number, shown

#: The most tables that patterns of one file can declare, and so the longest range.
MOST_TABLES = 100_000
#: A brace that is written twice, and one that begins an expression.
SPECIAL = re.compile(r"\{\{|\}\}|\{")
Numbers = tuple[tuple[str, int], ...]


class Instance(NamedTuple):
    """One result of a name with ranges: the name, all variables, and the numbers of its own ranges."""

    name: str
    values: Environment
    numbers: Numbers


class Template:
    """A compiled string. ``ranges``: how many ranges are in it."""

    def __init__(self, parts: list[str | Expression]) -> None:
        self._parts = parts
        self.ranges = sum(isinstance(part, Expression) and part.last is not None for part in parts)
        self._texts: list[str | Evaluate] = [part if isinstance(part, str) else text_of(part) for part in parts]

    def value(self) -> Evaluate | str:
        """What it is as a value: a string that needs no variables as it is. PatternError: it has a range."""
        for part in self._parts:
            if isinstance(part, Expression) and part.last is not None:
                raise PatternError(
                    f"{part.text}: a range is only allowed in the name of a table; below it, write its variable, "
                    f"{{{part.name}}}"
                )
        texts = self._texts
        if all(isinstance(part, str) for part in texts):
            return "".join(part for part in texts if isinstance(part, str))
        (first, *more) = self._parts
        if not more and isinstance(first, Expression) and not first.width:
            return first.first
        return lambda values: "".join([part if isinstance(part, str) else str(part(values)) for part in texts])

    def names(self, values: Environment) -> Iterator[Instance]:
        """All names that it stands for, in the order of its numbers, the last range fastest."""
        yield from self._names(0, Instance("", values, ()))

    def _names(self, at: int, known: Instance) -> Iterator[Instance]:
        if at == len(self._parts):
            yield known
            return
        part = self._parts[at]
        if isinstance(part, str):
            yield from self._names(at + 1, known._replace(name=known.name + part))
            return
        if part.last is None:
            text = self._texts[at]
            assert not isinstance(text, str)
            yield from self._names(at + 1, known._replace(name=known.name + str(text(known.values))))
            return
        for each in bounds(part, known.values):
            values = {**known.values, part.name: each}
            name = f"{known.name}{each:0{part.width}}" if part.width else f"{known.name}{each}"
            yield from self._names(at + 1, Instance(name, values, (*known.numbers, (part.name, each))))


def bounds(part: Expression, values: Environment) -> range:
    """The numbers of a range; PatternError where it is empty, too long, or its variable is taken."""
    assert part.last is not None
    if part.name in values:
        named = f"name this range, {part.text[0]}NAME={part.text[1:]}" if part.name == "n" else "use another name"
        raise PatternError(f"{part.text}: '{part.name}' is a variable here already: {named}")
    first, last = number(part.first(values), "the first number"), number(part.last(values), "the last number")
    if first > last:
        swapped = f": write {{{last}..{first}}}" if first - last > 1 else ""
        raise PatternError(f"{part.text}: the range {first}..{last} is empty{swapped}")
    if last - first >= MOST_TABLES:
        raise PatternError(f"{part.text}: these are {last - first + 1} tables, and a file can have {MOST_TABLES}")
    return range(first, last + 1)


def text_of(part: Expression) -> Evaluate:
    """What an expression becomes in a longer string."""
    first, width = part.first, part.width
    if not width:
        return lambda values: shown(first(values))

    def filled(values: Environment) -> Value:
        return f"{int(number(first(values), f'{part.text}: what a width fills up')):0{width}}"

    return filled


@functools.lru_cache(maxsize=4096)
def template(text: str) -> Template:
    """The parts of a string; PatternError where a pattern is wrong. `{{` is a brace, and so is `}}`."""
    parts: list[str | Expression] = []
    literal: list[str] = []
    at = 0
    while (found := SPECIAL.search(text, at)) is not None:
        literal.append(text[at : found.start()])
        if len(found[0]) == 2:
            literal.append(found[0][0])
            at = found.end()
            continue
        expression = Parser(text, found.end()).pattern()
        if written := "".join(literal):
            parts.append(written)
        parts.append(expression)
        literal, at = [], expression.end
    literal.append(text[at:])
    if "".join(literal) or not parts:
        parts.append("".join(literal))
    return Template(parts)
