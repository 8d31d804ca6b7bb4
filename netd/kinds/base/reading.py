"""TOML values into tables: every error at once, each with its path in the table.

Types are annotations: ``int``, ``str``, ``bool`` (without conversions: "1" is not 1, and true is not 1),
``Literal`` words, ``list[...]``, a ``Table``, unions of these that TOML tells apart, and ``Annotated`` with rules that
check a value and bring it into its one form.
"""

from __future__ import annotations

import datetime
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from .options import Table, fields_of

Path = tuple[str | int, ...]


class Violation(NamedTuple):
    """An error at a path below the table. ``known``: the valid keys, if this one is unknown."""

    path: Path
    text: str
    missing: bool = False
    known: frozenset[str] | None = None


#: Converts a value into its form in the table, and adds its errors.
Reader = Callable[[Any, Path, list[Violation]], Any]
T = TypeVar("T", bound=Table)

NAMES: Mapping[type, str] = {
    bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "an array", dict: "a table",
}  # fmt: skip


def type_name(value: Any) -> str:
    """What a TOML value is, in TOML's words."""
    if isinstance(value, datetime.date | datetime.time):
        return "a date or time"
    return NAMES.get(type(value), f"a {type(value).__name__}")


def read(table: type[T], raw: Any) -> T | list[Violation]:
    """The table, or all its errors."""
    violations: list[Violation] = []
    kind: Any = table
    found: T = reader(kind)(raw, (), violations)
    return violations or found


def checked(table: type[T], raw: Any) -> T:
    """The table; ValueError with its first error."""
    found = read(table, raw)
    if isinstance(found, list):
        raise ValueError(found[0].text)
    return found


@functools.cache
def reader(kind: Any) -> Reader:
    """What reads values of one type."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _ruled(reader(kind.__origin__), kind.__metadata__)
    if origin in (typing.Union, types.UnionType):
        return _union([each for each in typing.get_args(kind) if each is not type(None)])
    if origin is list:
        return _array(reader(typing.get_args(kind)[0]))
    if origin is Literal:
        return _union([kind])
    return _table(kind) if issubclass(kind, Table) else _scalar(kind)


def _scalar(kind: type) -> Reader:
    expected = NAMES[kind]

    def read_scalar(value: Any, path: Path, violations: list[Violation]) -> Any:
        if type(value) is not kind:
            violations.append(Violation(path, f"must be {expected}, not {type_name(value)}"))
        return value

    return read_scalar


def _ruled(inner: Reader, rules: tuple[Callable[[Any], Any], ...]) -> Reader:
    def read_ruled(value: Any, path: Path, violations: list[Violation]) -> Any:
        before = len(violations)
        value = inner(value, path, violations)
        if len(violations) == before:
            try:
                for rule in rules:
                    value = rule(value)
            except ValueError as error:
                violations.append(Violation(path, str(error)))
        return value

    return read_ruled


def _array(inner: Reader) -> Reader:
    def read_array(value: Any, path: Path, violations: list[Violation]) -> Any:
        if type(value) is not list:
            violations.append(Violation(path, f"must be an array, not {type_name(value)}"))
            return value
        return [inner(each, (*path, number), violations) for number, each in enumerate(value)]

    return read_array


def _union(ways: list[Any]) -> Reader:
    """TOML's type of the value chooses the alternative; a ``Literal`` is a word of its own."""
    words = [word for way in ways if typing.get_origin(way) is Literal for word in typing.get_args(way)]
    readers = {kind: reader(way) for way in ways if typing.get_origin(way) is not Literal for kind in toml_types(way)}
    expected = [NAMES[kind] for kind in readers] + [f"'{word}'" for word in words]
    text = f"{', '.join(expected[:-1])} or {expected[-1]}" if len(expected) > 1 else expected[0]

    def read_union(value: Any, path: Path, violations: list[Violation]) -> Any:
        chosen = readers.get(type(value))
        if chosen is not None:
            return chosen(value, path, violations)
        if type(value) is not str or value not in words:
            shown = f"'{value}'" if words and isinstance(value, str) else type_name(value)
            violations.append(Violation(path, f"must be {text}, not {shown}"))
        return value

    return read_union


def toml_types(kind: Any) -> Iterator[type]:
    """The types that TOML's values of this type can have."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        yield from toml_types(kind.__origin__)
    elif origin in (typing.Union, types.UnionType):
        for way in typing.get_args(kind):
            yield from toml_types(way)
    elif origin is list:
        yield list
    elif origin is Literal:
        yield str
    elif kind is not type(None):
        yield dict if issubclass(kind, Table) else kind


def _table(table: Any) -> Reader:
    fields = fields_of(table)
    readers = {key: (field.name, reader(field.type)) for key, field in fields.items()}
    required = [key for key, field in fields.items() if field.required]

    def read_table(value: Any, path: Path, violations: list[Violation]) -> Any:
        if type(value) is not dict:
            violations.append(Violation(path, f"must be a table, not {type_name(value)}"))
            return value
        before, found, undeclared = len(violations), {}, {}
        for key, each in value.items():
            known = readers.get(key)
            if known is not None:
                found[known[0]] = known[1](each, (*path, key), violations)
            elif table.free:
                undeclared[key] = each
            else:
                violations.append(Violation((*path, key), f"unknown key '{key}'", known=frozenset(readers)))
        violations += [Violation(path, f"missing key '{key}'", missing=True) for key in required if key not in value]
        if len(violations) > before:
            return value
        made = table(**found)
        if table.free:
            vars(made)["_undeclared"] = undeclared
        try:
            made.check()
        except ValueError as error:
            violations.append(Violation(path, str(error)))
        return made

    return read_table
