"""pydantic's errors in plain English, each at its TOML path."""

from __future__ import annotations

import datetime
import difflib
import inspect
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .positions import TomlPath
from .problem import Problem, Source
from .schema import titled

#: What was expected, by the type of pydantic's error.
EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "a boolean",
    "list_type": "an array",
    "tuple_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def meant(word: str, known: Iterable[str]) -> str:
    """ ": did you mean 'vni'?", or nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f": did you mean '{close[0]}'?" if close else ""


def type_name(value: Any) -> str:
    """What a TOML value is, in TOML's words."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, datetime.date | datetime.time):
        return "a date or time"
    named = {int: "an integer", float: "a float", str: "a string", list: "an array", dict: "a table"}
    return named.get(type(value), f"a {type(value).__name__}")


def explain(
    error: ValidationError, raw: Any, model: type[BaseModel], base: TomlPath, source: Source
) -> Iterator[Problem]:
    """All mistakes of one table. ``raw`` is the table as it was read, ``base`` its path."""
    groups: dict[TomlPath, list[ErrorDetails]] = {}
    for each in error.errors(include_url=False):
        path = toml_path(each["loc"], raw)
        if each["type"] in ("missing", "extra_forbidden"):
            path = (*toml_path(each["loc"][:-1], raw), each["loc"][-1])
        groups.setdefault(path, []).append(each)
    for path, errors in groups.items():
        others = [each for each in errors if each["type"] not in EXPECTED and not _one_way(each, errors)]
        if not others and any(len(other) > len(path) and other[: len(path)] == path for other in groups):
            continue  # one branch of a union did not fit, another did: its mistakes are deeper
        yield _mistake(others[:1] or errors, path, raw, model, base, source)


def _one_way(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether it says that a word is not the one that could stand there instead of a value of another type."""
    return error["type"] == "literal_error" and any(each["type"] in EXPECTED for each in errors)


def toml_path(loc: Sequence[str | int], raw: Any) -> TomlPath:
    """The part of pydantic's location that stands in the file; it names the branches of unions too."""
    path: TomlPath = ()
    for item in loc:
        below = member(raw, item)
        if below is not None:
            raw = below
            path = (*path, item)
    return path


def member(raw: Any, part: str | int) -> Any:
    """What a table or an array holds there; None (which TOML does not have) where it holds nothing."""
    if isinstance(raw, dict):
        return raw.get(part)
    if isinstance(raw, list) and isinstance(part, int) and part < len(raw):
        return raw[part]
    return None


def _mistake(
    errors: Sequence[ErrorDetails], path: TomlPath, raw: Any, model: type[BaseModel], base: TomlPath, source: Source
) -> Problem:
    first = errors[0]
    value = first["input"]
    if first["type"] == "missing":
        return source.mistake(base + path[:-1], titled(base + path[:-1], f"missing key '{path[-1]}'"))
    if first["type"] == "extra_forbidden":
        known = keys_at(model, path[:-1]) - set(first["loc"])
        text = f"unknown key '{path[-1]}'{meant(str(path[-1]), known)}"
        return source.mistake(base + path, titled(base + path[:-1], text), name=True)
    if first["type"] == "value_error":
        text = str(first.get("ctx", {}).get("error", first["msg"]))
        return source.mistake(base + path + key_in(_at(raw, path), text), titled(base + path, text))
    return source.mistake(base + path, titled(base + path, _plain(errors, value)))


def _plain(errors: Sequence[ErrorDetails], value: Any) -> str:
    first = errors[0]
    context = first.get("ctx", {})
    if first["type"] in EXPECTED:
        ways = [EXPECTED.get(each["type"]) or each.get("ctx", {}).get("expected", "") for each in errors]
        quoted = isinstance(value, str) and any(_one_way(each, errors) for each in errors)
        given = f"'{value}'" if quoted else type_name(value)
        return f"must be {' or '.join(filter(None, dict.fromkeys(ways)))}, not {given}"
    if first["type"] in LIMITS:
        name, words = LIMITS[first["type"]]
        return f"must be {words} {context[name]}, not {value}"
    if first["type"] == "literal_error":
        shown = f"'{value}'" if isinstance(value, str) else str(value)
        return f"must be {context['expected']}, not {shown}"
    if first["type"] == "too_short":
        return "must not be empty"
    return str(first["msg"][:1].lower() + first["msg"][1:])


def _at(raw: Any, path: TomlPath) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def key_in(raw: Any, text: str) -> TomlPath:
    """The path of the key that a message begins with ("peer.mtu: ..."), () where it begins with none."""
    key, colon, _ = text.partition(": ")
    return (resolve(raw, key) if colon and " " not in key else None) or ()


def resolve(raw: Any, text: str) -> TomlPath | None:
    """The path of a key that is written dotted, whether its parts are quoted together or tables of their own."""
    if not isinstance(raw, dict):
        return None
    if text in raw:
        return (text,)
    for end in (at for at, character in enumerate(text) if character == "."):
        if text[:end] in raw:
            below = resolve(raw[text[:end]], text[end + 1 :])
            if below is not None:
                return (text[:end], *below)
    return None


def keys_at(model: type[BaseModel], path: TomlPath) -> set[str]:
    """The keys that can stand in the table at ``path``."""
    models = [model]
    for part in path:
        if isinstance(part, int):
            continue
        annotations = [field.annotation for each in models for name, field in _fields(each).items() if name == part]
        models = [found for annotation in annotations for found in _models(annotation)]
    return {name for each in models for name in _fields(each)}


def _fields(model: type[BaseModel]) -> Mapping[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)
