"""What to write instead, for common errors: quotes, brackets, and keys as ip(8) calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netd.kinds.base.options import fields_of

from .positions import Position, TomlPath, member
from .problem import Problem
from .schema import dotted, form_of, layout

#: A key and its value, or an element of an array, as a line has them.
VALUE = re.compile(r"(?:=|\[|,)\s*([^\s\"'\[\]{},#]+)")
#: An address alone on its line: an element of an array over several lines. And a head of a table, complete or not.
ELEMENT = re.compile(r"\s*([0-9A-Fa-f.:/]*[.:][0-9A-Fa-f.:/]*)\s*,?\s*(?:#.*)?")
HEAD = re.compile(r"\s*\[[^=]*")
#: Values that TOML has no form for without quotes: addresses, MACs, names.
UNQUOTED = re.compile(r"[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*(/\d+)?|[A-Za-z_][\w./@-]*")
NUMBER = re.compile(r"[+-]?\d[\d_]*(\.\d+)?|true|false|inf|nan")
TRUTH = {"yes": "true", "on": "true", "no": "false", "off": "false"}
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
UNKNOWN_KEY = re.compile(r"(?<!\S)unknown key '(?P<key>[^']*)'(: did you mean '[^']*'\?)?$")
NOT_AN_ARRAY = re.compile(r"must be an array( of tables, \[\[.*\]\])?, not (a string|a table)$")


def syntax_hint(row: str, line: int, column: int) -> tuple[Position, str] | None:
    """What to write where a value without quotes makes a line invalid, and where; None for other syntax errors."""
    if HEAD.fullmatch(row):
        return None
    for found in (*VALUE.finditer(row), *filter(None, [ELEMENT.fullmatch(row)])):
        value = found[1]
        if UNQUOTED.fullmatch(value) and not NUMBER.fullmatch(value) and found.end() >= column - 1:
            place = Position(line, found.start(1) + 1, len(value))
            truth = TRUTH.get(value.lower())
            return place, f"write {truth}" if truth else f'quotes are missing: write "{value}"'
    return None


def hinted(problem: Problem, data: Mapping[str, Any]) -> Problem:
    """The same problem, with what to write instead where that is clear. ``data``: the file as it was read."""
    path, message = problem.path, problem.message
    wrong = NOT_AN_ARRAY.search(message)
    unknown = UNKNOWN_KEY.search(message)
    if wrong:
        value = _at(data, path)
        written = f'["{value}"]' if isinstance(value, str) else f"[[{dotted(path)}]]"
        return replace(problem, message=f"{message[: wrong.start()]}must be an array, not {wrong[2]}: write {written}")
    text = _other_key(path, _at(data, path)) if unknown and path and path[-1] == unknown["key"] else ""
    if unknown and text:
        return replace(problem, message=f"{message[: unknown.start()]}unknown key '{unknown['key']}': {text}")
    return problem


def _other_key(path: TomlPath, value: Any) -> str:
    """What to write instead of a key that netd does not have; "" where that is not clear."""
    inside = path[2:] if path[:1] == ("host",) else path
    inside = inside[2:] if inside[:1] == ("namespace",) else inside
    kind = layout().get(str(inside[0])) if len(inside) == 3 else None
    if kind is None or form_of(kind).form != "named":
        return ""
    key = str(inside[2])
    if isinstance(value, dict) and "." not in str(inside[1]):
        return f'a name with a dot needs quotes, [{dotted(path[:-2])}."{inside[1]}.{key}"]'
    if key == "address" and MAC.fullmatch(str(value)):
        return "did you mean 'mac'?"
    fields = fields_of(form_of(kind).model)
    meant = next((name for name, field in fields.items() if key in field.option.also), "")
    if meant == "addresses" and isinstance(value, str):
        return f'write {meant} = ["{value}"]'
    return f"did you mean '{meant}'?" if meant else ""


def _at(data: Any, path: TomlPath) -> Any:
    for part in path:
        data = member(data, part)
    return data
