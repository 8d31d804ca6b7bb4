"""Expands the patterns of one file: `[namespace."h{1..200}"]` becomes 200 tables, each with its numbers in its strings.

Between reading the text and checking it: whatever follows sees tables as if they had been written one by one. Where
they are written is kept (``Places``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from netd.config.diagnostics.places import Place, Places, shown_numbers
from netd.config.diagnostics.positions import TomlPath
from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import HOSTS, NAMESPACE, VARS, form_of, layout, titled
from netd.kinds.base.reading import type_name

from .expression import NAME
from .plan import Build, Constant, compiled
from .template import MOST_TABLES, Instance, template
from .values import Environment, PatternError, Value

#: The most values that all tables together can have: the memory that a file can take.
MOST_VALUES = 5_000_000
#: The most problems that are collected.
MOST_PROBLEMS = 1000


class TooMuch(Exception):
    """The file becomes too large: the rest is not expanded."""


class Scope(NamedTuple):
    """Where the expansion is: the path after it, the path in the text, the variables, and the numbers of ranges."""

    path: TomlPath
    written: TomlPath
    values: Environment
    numbers: tuple[tuple[str, int], ...] = ()

    def inside(self, *keys: str | int) -> Scope:
        """Below these keys, which are written so."""
        return self._replace(path=(*self.path, *keys), written=(*self.written, *keys))

    def instance(self, written: str, found: Instance) -> Scope:
        """Below one name of a pattern."""
        return Scope((*self.path, found.name), (*self.written, written), found.values, self.numbers + found.numbers)


def expand(source: Source) -> list[Problem]:
    """Expands ``source.data``, and returns the problems. A file without braces stays as it is."""
    if VARS not in source.data and not _braces(source.data):
        return []
    expansion = Expansion(source)
    expansion.run()
    source.data = expansion.data
    return expansion.problems


def _braces(value: Any) -> bool:
    if isinstance(value, str):
        return "{" in value or "}}" in value
    if isinstance(value, dict):
        return any(_braces(key) or _braces(below) for key, below in value.items())
    return isinstance(value, list) and any(map(_braces, value))


class Expansion:
    """Collects ``data`` and ``problems``. A table with an error in a pattern is left out."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._places = Places(source.data)
        self._plans: dict[int, tuple[Build | Constant | PatternError, int]] = {}
        self._tables = self._values = 0
        self.data: dict[str, Any] = {}
        self.problems: list[Problem] = []

    def run(self) -> None:
        """Expands the whole file. From then on the source knows the places of what is expanded."""
        raw = self._source.data
        self._source.places = self._places
        scope = Scope((), (), self._variables(raw.get(VARS, {})))
        try:
            self._level({key: value for key, value in raw.items() if key != VARS}, scope, self.data)
        except TooMuch as error:
            self.problems.append(Problem(self._source.file, (), str(error)))

    def _wrong(self, scope: Scope, error: PatternError | str) -> None:
        inside = error.path if isinstance(error, PatternError) else ()
        written = (*scope.written, *inside)
        found = self._source.problem_written(
            Place(written, scope.numbers), titled((*scope.path, *inside), str(error)), (*scope.path, *inside)
        )
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(found)

    def _variables(self, raw: Any) -> dict[str, Value]:
        """``[vars]``: each can use those before it."""
        found: dict[str, Value] = {}
        scope = Scope((VARS,), (VARS,), found)
        if not isinstance(raw, dict):
            self._wrong(scope, f"must be a table, not {type_name(raw)}")
            return found
        for name, written in raw.items():
            here = scope.inside(name)
            try:
                plan = compiled(written)
                value = plan.value if isinstance(plan, Constant) else plan(found)
            except PatternError as error:
                self._wrong(here, error)
                continue
            if not NAME.fullmatch(name):
                self._wrong(here, "the name of a variable is letters, digits and '_', and begins with no digit")
            elif not isinstance(value, int | str):
                self._wrong(here, f"must be an integer, a string or a boolean, not {type_name(value)}")
            else:
                found[name] = value
        return found

    def _level(self, raw: Mapping[str, Any], scope: Scope, into: dict[str, Any]) -> None:
        """The file itself, or a table that contains tables: that of a namespace or a host."""
        for key, value in raw.items():
            kind = layout().get(key)
            contains = key in (HOSTS, NAMESPACE)
            if isinstance(value, dict) and (contains or (kind is not None and form_of(kind).form == "named")):
                self._named(value, scope.inside(key), into, contains)
            else:
                self._merged(key, value, scope, into)

    def _named(self, raw: Mapping[str, Any], scope: Scope, into: dict[str, Any], contains: bool) -> None:
        """Tables by their names: ``[KIND.NAME]``, ``[namespace.NAME]``, ``[host.NAME]``."""
        tables = into.setdefault(str(scope.path[-1]), {})
        if not isinstance(tables, dict):
            self._twice(scope)
            return
        for name, value in raw.items():
            empty = not isinstance(value, dict) or not any(isinstance(below, dict | list) for below in value.values())
            for each in self._instances(name, scope):
                path = each.path[-1]
                self._count(each, not contains or empty)
                if contains and isinstance(value, dict) and isinstance(tables.get(path, {}), dict):
                    self._places.add(each.path, Place(each.written, each.numbers))
                    self._level(value, each, tables.setdefault(path, {}))
                elif path in tables:
                    self._twice(each)
                else:
                    if "{" in name or "}}" in name:
                        self._places.add(each.path, Place(each.written, each.numbers))
                    self._set(tables, path, value, each)

    def _instances(self, name: str, scope: Scope) -> Iterator[Scope]:
        if "{" not in name and "}}" not in name:
            yield scope.inside(name)
            return
        try:
            for found in template(name).names(scope.values):
                yield scope.instance(name, found)
        except PatternError as error:
            self._wrong(scope.inside(name), error)

    def _count(self, scope: Scope, tables: int = 1, values: int = 0) -> None:
        """Limits what patterns become, and with it time and memory. A table counts without those around it."""
        if not scope.numbers:
            return
        self._tables += tables
        self._values += values
        if self._tables > MOST_TABLES:
            raise TooMuch(f"declares too many tables by patterns: more than {MOST_TABLES}")
        if self._values > MOST_VALUES:
            raise TooMuch(f"declares too much by patterns: more than {MOST_VALUES} values")

    def _twice(self, scope: Scope) -> None:
        other = self._places.of(scope.path)
        line = f"line {self._source.line_written(other.path)} {shown_numbers(other.numbers)}".rstrip()
        self._wrong(scope, f"is declared already, at {line}")

    def _merged(self, key: str, value: Any, scope: Scope, into: dict[str, Any]) -> None:
        """A key or table that several patterns, or a pattern and a plain table, can have parts of."""
        for here in self._instances(key, scope):
            name = str(here.path[-1])
            before = into.get(name)
            if isinstance(value, dict) and isinstance(before, dict | None) and _mergeable(here.path):
                self._note(here)
                for below, inner in value.items():
                    self._merged(below, inner, here, into.setdefault(name, {}))
                into.setdefault(name, {})
            elif _is_array_of_tables(value) and (before is None or _is_array_of_tables(before)):
                self._append(value, here, into.setdefault(name, []))
            elif name in into:
                self._twice(here)
            else:
                self._note(here)
                self._set(into, name, value, here)

    def _note(self, scope: Scope) -> None:
        if scope.path[-1] != scope.written[-1]:
            self._places.add(scope.path, Place(scope.written, scope.numbers))

    def _append(self, raw: list[Any], scope: Scope, into: list[Any]) -> None:
        for number, value in enumerate(raw):
            written = scope.inside(number)
            here = written._replace(path=(*scope.path, len(into)))
            self._count(here)
            self._places.add(here.path, Place(here.written, here.numbers))
            found: dict[int, Any] = {}
            self._set(found, 0, value, here)
            into += found.values()

    def _set(self, into: dict[Any, Any], key: Any, raw: Any, scope: Scope) -> None:
        """Evaluates a value; with an error, nothing is set."""
        known = self._plans.get(id(raw))
        if known is None:
            known = self._plans[id(raw)] = (_plan(raw), _size(raw))
        plan, size = known
        self._count(scope, 0, size)
        try:
            if isinstance(plan, PatternError):
                raise plan
            into[key] = plan.value if isinstance(plan, Constant) else plan(scope.values)
        except PatternError as error:
            self._wrong(scope, error)


def _plan(raw: Any) -> Build | Constant | PatternError:
    try:
        return compiled(raw)
    except PatternError as error:
        return error


def _size(raw: Any) -> int:
    """How many values a value consists of."""
    if isinstance(raw, dict):
        return 1 + sum(map(_size, raw.values()))
    return 1 + sum(map(_size, raw)) if isinstance(raw, list) else 1


def _mergeable(path: TomlPath) -> bool:
    """Whether tables at a path are parts of one table: ``[sysctl]``, ``[nat]``."""
    inside = path[2:] if path[:1] == (HOSTS,) else path
    inside = inside[2:] if inside[:1] == (NAMESPACE,) else inside
    kind = layout().get(str(inside[0])) if inside else None
    return kind is not None and form_of(kind).form == "single"


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)
