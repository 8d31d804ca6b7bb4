"""Writes the tables of a document from the models: ``python package/tables.py docs/reference/config.md``.

What is between ``<!-- generated: PATH -->`` and ``<!-- end -->`` is replaced. PATH is a kind ("vxlan"), a table in one
("vxlan.fdb"), "link" (the keys of every link), "host", or "other kinds": all kinds that have no place of their own yet.
"""

from __future__ import annotations

import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from netd.config.diagnostics.schema import HOSTS, HostTable, layout
from netd.kinds.base.options import Field, Table, fields_of
from netd.kinds.base.values import Form, Range
from netd.kinds.link.ends import LinkTable

MARK = re.compile(r"(<!-- generated: (.*?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LINK, OTHERS = "link", "other kinds"
TYPES = {int: "integer", str: "string", bool: "boolean"}
PLURAL = {"address": "addresses", "table": "tables"}


def words(kind: Any) -> str:
    """What can be written as a value of this type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return next((words_of(rule) for rule in reversed(arguments[1:]) if words_of(rule)), words(arguments[0]))
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(words(way) for way in arguments if way is not type(None))
    if origin is list:
        one = words(arguments[0])
        return f"list of {PLURAL.get(one, one)}"
    if origin is Literal:
        shown = [f'`"{word}"`' for word in arguments]
        return f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else shown[0]
    return "table" if issubclass(kind, Table) else TYPES[kind]


def words_of(rule: Any) -> str:
    """What a rule says of a type; "" for nothing."""
    if isinstance(rule, Range):
        return f"integer, {rule.least} to {rule.most}"
    return rule.words if isinstance(rule, Form) else ""


def default_of(field: Field) -> str:
    """What counts where the key is left out."""
    if field.option.absent:
        return field.option.absent
    if field.required:
        return "required"
    if field.default is None:
        return ""
    text = f'"{field.default}"' if isinstance(field.default, str) else str(field.default)
    return f"`{text.lower() if isinstance(field.default, bool) else text}`"


def rows(fields: Mapping[str, Field]) -> Iterator[str]:
    """A table of these keys, in markdown."""
    yield "| key | type | default | meaning |\n|---|---|---|---|\n"
    for key, field in fields.items():
        meaning = field.option.description + ("" if field.option.live is not False else "; a change recreates the link")
        cells = [f"`{key}`", words(field.type), default_of(field), meaning]
        yield "|" + "|".join(f" {cell.replace('|', chr(92) + '|')} ".replace("  ", " ") for cell in cells) + "|\n"


def models() -> dict[str, Mapping[str, Field]]:
    """{PATH: keys} of all tables; those of every link are listed once."""
    found: dict[str, Mapping[str, Field]] = {HOSTS: fields_of(HostTable), LINK: fields_of(LinkTable)}
    found |= dict(nested(LINK, found[LINK]))
    for name, kind in layout().items():
        assert kind.toml is not None
        found |= dict(own(name, kind.toml.model))
    return found


def own(path: str, model: type[Table]) -> Iterator[tuple[str, Mapping[str, Field]]]:
    """A table's keys without those of every link, where it is one, and the tables in it."""
    common = fields_of(LinkTable) if issubclass(model, LinkTable) else {}
    keys = {key: field for key, field in fields_of(model).items() if key not in common}
    if keys:
        yield path, keys
    yield from nested(path, keys)


def nested(path: str, fields: Mapping[str, Field]) -> Iterator[tuple[str, Mapping[str, Field]]]:
    """The tables below these keys."""
    for key, field in fields.items():
        for model in tables_in(field.type):
            yield from own(f"{path}.{key}", model)


def tables_in(kind: Any) -> Iterator[type[Table]]:
    """The tables that a type speaks of."""
    if isinstance(kind, type) and issubclass(kind, Table):
        yield kind
    for argument in typing.get_args(kind):
        yield from tables_in(argument)


def other_kinds(known: Mapping[str, Mapping[str, Field]], placed: set[str]) -> Iterator[str]:
    """Kinds without a place of their own: a heading, what their table is, and its keys."""
    for name, kind in layout().items():
        has_place = name in placed or any(path.startswith(f"{name}.") for path in placed)
        if has_place or kind.toml is None or name not in known:
            continue
        yield f"### {name}\n\n{' '.join((kind.toml.model.__doc__ or '').split())}\n\n"
        yield from rows(known[name])
        yield "\n"


def written(text: str) -> str:
    """A document with all its tables as the models have them now."""
    known = models()
    placed = {path for _, path, *_ in MARK.findall(text)}

    def table(found: re.Match[str]) -> str:
        path = found[2]
        if path != OTHERS and path not in known:
            raise SystemExit(f"no table is called '{path}': {', '.join(known)}")
        lines = other_kinds(known, placed) if path == OTHERS else rows(known[path])
        return found[1] + "".join(lines) + found[4]

    return MARK.sub(table, text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        document = Path(name)
        document.write_text(written(document.read_text(encoding="utf-8")), encoding="utf-8")
