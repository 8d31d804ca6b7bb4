"""Tables of every kind of link, made from the kinds' own models: a new kind is tested as soon as it is there."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from netd.kinds import registry
from netd.kinds.base.options import Field, Table, fields_of
from netd.kinds.base.reading import read
from netd.kinds.base.values import Form, Range
from netd.kinds.link.attributes import options
from netd.kinds.link.link_kind import LinkKind
from tests.support.kernel_needs import has

#: The link that every table is about, and two that are there already and can carry it.
LINK, CARRIER, OTHER_CARRIER = "made0", "eth0", "cable"
#: Values of text, by what ``Form.words`` calls them.
TEXTS = {
    "link name": [CARRIER, OTHER_CARRIER],
    "namespace name": ["a"],
    "address": ["10.0.0.9", "10.0.0.10", "fd00::9"],
    "multicast address": ["239.1.1.9", "239.1.1.10"],
    "absolute path": ["/etc/wireguard/wg0.key", "/etc/wireguard/wg1.key"],
    "MAC address": ["02:00:00:00:00:41", "02:00:00:00:00:42"],
    "CIDR": ["10.7.0.0/24", "10.8.0.0/24"],
}


class Case(NamedTuple):
    """One option of a kind: the text without it, and with it. ``key`` and ``value`` are what differs."""

    kind: LinkKind
    key: str
    value: Any
    without: str
    text: str

    def __repr__(self) -> str:
        return f"{self.kind.name}-{self.key}-{self.value}"


def link_kinds() -> list[LinkKind]:
    """Those that netd makes."""
    return [kind for kind in registry().values() if isinstance(kind, LinkKind) and kind.traits.provides_links]


def examples(kind: Any) -> Iterator[Any]:
    """Some values of a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        least = next((rule for rule in arguments[1:] if isinstance(rule, Range)), None)
        words = next((rule.words for rule in arguments[1:] if isinstance(rule, Form)), "")
        if least is not None:
            yield from dict.fromkeys((least.least, (least.least + min(least.most, 250)) // 2, min(least.most, 60_000)))
        else:
            yield from TEXTS.get(words) or examples(arguments[0])
    elif origin in (typing.Union, types.UnionType):
        yield from examples(arguments[0])
    elif origin is Literal:
        yield from arguments
    elif kind is bool:
        yield from (True, False)
    elif isinstance(kind, type) and issubclass(kind, Table):
        yield needed(kind)


def needed(table: Any) -> dict[str, Any]:
    """The required keys of a table; where it needs one of several, the last of these."""
    fields = fields_of(table)
    base = {key: _first(key, field) for key, field in fields.items() if field.required}
    if not isinstance(read(table, base), list):
        return base
    more = (
        base | {key: value} for key in reversed(list(fields)) if key not in base for value in examples(fields[key].type)
    )
    return next((keys for keys in more if not isinstance(read(table, keys), list)), base)


def _first(key: str, field: Field) -> Any:
    # The name of another end is one that is free.
    return "far0" if key == "name" else next(examples(field.type))


def toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def text_of(kind: LinkKind, keys: dict[str, Any]) -> str:
    """A file with this one link."""
    return f"[{kind.name}.{LINK}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())


def cases(kind: LinkKind) -> Iterator[Case]:
    """Every option with some of its values; what does not fit together with the required keys is given a carrier."""
    base = needed(kind.table)
    for key in options(kind.table):
        # A kernel whose bridges know no VLANs takes these, and does nothing.
        if key.startswith("vlan_") and "vlan_filtering" in options(kind.table) and not has("vlan_filtering"):
            continue
        for value in examples(fields_of(kind.table)[key].type):
            more = next((each for each in _companions(kind, key) if _fits(kind, base | each | {key: value})), None)
            if more is not None and base.get(key) != value:
                yield Case(kind, key, value, text_of(kind, base | more), text_of(kind, base | more | {key: value}))


def _companions(kind: LinkKind, key: str) -> Iterator[dict[str, Any]]:
    """What an option may need beside it: nothing, a carrier, a value of another option (a bond's mode)."""
    yield {}
    if kind.lower is not None:
        yield {kind.lower[0]: CARRIER}
    for other in options(kind.table):
        if other != key:
            yield from ({other: value} for value in examples(fields_of(kind.table)[other].type))


def _fits(kind: LinkKind, keys: dict[str, Any]) -> bool:
    return not isinstance(read(kind.table, keys), list)
