"""The JSON schema of the files, for editors (``netd schema``), from the declarations by which the files are read.

Draft 2020-12. It says what one key can hold; what several keys say together is left to ``netd check``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from netd.kinds.base.kind import Kind
from netd.kinds.base.options import Field, Table, fields_of
from netd.kinds.base.values import LINK_NAME, Form, Range

from .schema import HOSTS, NAMESPACE, VARS, HostTable, form_of, inner, layout

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TYPES = {int: "integer", str: "string", bool: "boolean"}
#: A name, or a string, with a pattern: what it is shows only when it is expanded.
PATTERN = r"\{.*\}"
#: Instead of a number, a boolean or a word: one expression, which takes its type.
EXPRESSION = "expression"
#: What TOML makes of bare dotted keys are tables in tables.
FREE = {"anyOf": [{"type": ["integer", "boolean", "string"]}, {"type": "object"}]}


def json_schema() -> dict[str, Any]:
    """The schema of one file."""
    definitions: dict[str, Any] = {EXPRESSION: {"type": "string", "pattern": f"^{PATTERN}$"}}
    inside = {name: _of_kind(kind, definitions) for name, kind in inner().items()}
    space = _table(form_of(layout()[NAMESPACE]).model, definitions, inside)
    definitions[NAMESPACE] = space
    machine = inside | {NAMESPACE: _named(_reference(NAMESPACE), "named network namespaces")}
    definitions[HOSTS] = _table(HostTable, definitions, machine)
    hosts = {HOSTS: _named(_reference(HOSTS), "what one machine has besides what all have")}
    return {
        "$schema": DRAFT,
        "title": "netd.toml(5)",
        "description": "Part of the virtual network of a machine.",
        "type": "object",
        "properties": machine | hosts | {VARS: _variables()},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _variables() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "variables of this file, for the expressions in its names and strings",
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {"type": ["integer", "string", "boolean"]},
    }


def _of_kind(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    """What the TOML key of a kind can hold."""
    form = form_of(kind)
    definitions[kind.name] = _table(form.model, definitions)
    description = {"description": _sentence(form.model)}
    if form.form == "array":
        return {"type": "array", "items": _reference(kind.name)} | description
    if form.form == "single":
        return _reference(kind.name) | description
    return _named(_reference(kind.name), description["description"]) | {
        "propertyNames": {"pattern": f"{LINK_NAME}|{PATTERN}"}
    }


def _named(table: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": dict(table)}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _sentence(model: type[Table]) -> str:
    """What a table is: its docstring, up to the first empty line."""
    return " ".join((model.__doc__ or "").partition("\n\n")[0].split())


def _table(model: type[Table], definitions: dict[str, Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One table; ``more`` are further tables that it can contain."""
    fields = fields_of(model)
    properties = {key: _property(field, definitions) for key, field in fields.items()}
    required = [key for key, field in fields.items() if field.required]
    found: dict[str, Any] = {"type": "object", "description": _sentence(model)}
    found["properties"] = {**properties, **(more or {})}
    found["additionalProperties"] = FREE if model.free else False
    return found | ({"required": required} if required else {})


def _property(field: Field, definitions: dict[str, Any]) -> dict[str, Any]:
    found = _type(field.type, definitions) | {"description": field.option.description}
    no_default = field.required or field.default in (None, [])
    return found if no_default or field.option.absent else found | {"default": field.default}


def _type(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """What a value can be, or an expression instead of it."""
    found = _plain_type(kind, definitions)
    if PATTERN not in found.get("pattern", PATTERN):
        return found | {"pattern": f"{found['pattern']}|{PATTERN}"}
    if found.get("type") in ("integer", "boolean") or "enum" in found:
        return {"anyOf": [found, _reference(EXPRESSION)]}
    return found


def _plain_type(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        found = _plain_type(arguments[0], definitions)
        for rule in arguments[1:]:
            found |= _rule(rule)
        return found
    if origin in (typing.Union, types.UnionType):
        ways = [_type(way, definitions) for way in arguments if way is not type(None)]
        return ways[0] if len(ways) == 1 else {"anyOf": ways}
    if origin is list:
        return {"type": "array", "items": _type(arguments[0], definitions)}
    if origin is Literal:
        return {"enum": list(arguments)}
    if issubclass(kind, Table):
        name = kind.__name__.removesuffix("Table").lower()
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _table(kind, definitions)
        return _reference(name)
    return {"type": TYPES[kind]}


def _rule(rule: Any) -> dict[str, Any]:
    if isinstance(rule, Range):
        return {"minimum": rule.least, "maximum": rule.most}
    return {"pattern": rule.pattern} if isinstance(rule, Form) and rule.pattern else {}
