"""One table, compiled once: what is the same for all numbers is shared, the rest is evaluated for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .template import template
from .values import Environment, PatternError

#: Makes a value for the values of the variables.
Build = Callable[[Environment], Any]


class Constant:
    """A value without patterns."""

    def __init__(self, value: Any) -> None:
        self.value = value


def compiled(raw: Any) -> Build | Constant:
    """How to build a value; PatternError with the path of the string that is wrong."""
    if isinstance(raw, str):
        if "{" not in raw and "}}" not in raw:
            return Constant(raw)
        found = template(raw).value()
        return Constant(found) if isinstance(found, str) else found
    if isinstance(raw, dict):
        return _table(raw)
    return _array(raw) if isinstance(raw, list) else Constant(raw)


def _member(key: str | int, raw: Any) -> Build | Constant:
    try:
        return compiled(raw)
    except PatternError as error:
        error.path = (key, *error.path)
        raise


def _array(raw: list[Any]) -> Build | Constant:
    members = [_member(number, value) for number, value in enumerate(raw)]
    if all(isinstance(each, Constant) for each in members):
        return Constant([each.value for each in members if isinstance(each, Constant)])

    def build(values: Environment) -> list[Any]:
        found: list[Any] = []
        for each in members:
            try:
                found.append(each.value if isinstance(each, Constant) else each(values))
            except PatternError as error:
                error.path = (len(found), *error.path)
                raise
        return found

    return build


def _table(raw: dict[str, Any]) -> Build | Constant:
    """Keys can have expressions, but no ranges: those are where tables have names."""
    constants: dict[str, Any] = {}
    varying: list[tuple[str, Build]] = []
    named: list[tuple[str, Build, Build | Constant]] = []
    for key, value in raw.items():
        name, each = _member(key, key), _member(key, value)
        if not isinstance(name, Constant):
            named.append((key, name, each))
        elif isinstance(each, Constant):
            constants[name.value] = each.value
        else:
            constants[name.value] = None  # keeps the order of the file
            varying.append((name.value, each))
    if not varying and not named:
        return Constant(constants)

    def build(values: Environment) -> dict[str, Any]:
        found, key = constants.copy(), ""
        try:
            for key, each in varying:
                found[key] = each(values)
            for written, name, value in named:
                key = written
                shown = str(name(values))
                if shown in found:
                    raise PatternError(f"'{shown}' is written already")
                found[shown] = value.value if isinstance(value, Constant) else value(values)
        except PatternError as error:
            error.path = (key, *error.path)
            raise
        return found

    return build
