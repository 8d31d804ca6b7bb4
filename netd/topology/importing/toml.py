"""Values as TOML text, as a person would write it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")
DOTTED = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
#: A line that is longer is written as a table of its own, or in several lines.
WIDEST = 100
ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def key_text(*parts: str) -> str:
    """A dotted key, with quotes where a part needs them."""
    return ".".join(part if BARE.fullmatch(part) else string_text(part) for part in parts)


def string_text(value: str) -> str:
    """A basic string; what cannot be shown is escaped."""
    return '"' + "".join(ESCAPES.get(each) or (each if each.isprintable() else escaped(each)) for each in value) + '"'


def escaped(character: str) -> str:
    """A Unicode escape."""
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def value_text(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key_text(key)} = {value_text(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return string_text(str(value))


def pair_lines(key: str, value: Any) -> Iterator[str]:
    """ "key = value"; a long array has a line for each element."""
    line = f"{key} = {value_text(value)}"
    if len(line) <= WIDEST or not isinstance(value, list) or not value:
        yield line
        return
    yield f"{key} = ["
    yield from (f"    {value_text(each)}," for each in value)
    yield "]"


def table_lines(
    path: tuple[str, ...], values: Mapping[str, Any], *, array: bool = False, dotted: bool = False
) -> Iterator[str]:
    """A table with its header; a long table inside it has a header of its own, below. ``dotted``: its keys may be."""
    yield f"[[{key_text(*path)}]]" if array else f"[{key_text(*path)}]"
    below: dict[str, Mapping[str, Any]] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and not array and len(value_text(value)) + len(key) > WIDEST:
            below[key] = value
        else:
            yield from pair_lines(key if dotted and DOTTED.fullmatch(key) else key_text(key), value)
    for key, value in below.items():
        yield ""
        yield from table_lines((*path, key), value)
