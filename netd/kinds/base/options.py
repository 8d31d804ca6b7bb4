"""The keys of a TOML table: each is declared once, and everything else about it follows from there.

A table is a class with one annotated field per key, made by ``option``::

    class VlanTable(LinkTable):
        dev: Name = option("link that carries it", wire=LowerLink())
        id: Annotated[int, Range(1, 4094)] = option("VLAN ID", wire=U16(1), live=False)

The annotation says what can be written (``reading`` checks it), the rest is in the ``Option``. From both follow the
JSON schema, the tables of the documents, netlink's attribute, the kernel's default, and what forces a recreation.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, dataclass_transform

#: Whether the kernel changes a value in place: always, never, or from this one (have) to that one (want).
Live = bool | Callable[[Any, Any], bool]


class Wire(Protocol):
    """How the kernel has a value in netlink attributes, {number: payload}; ``link.attributes`` has them all."""

    #: What a new link has where nothing is said; None: it depends, or there is none.
    @property
    def default(self) -> Any: ...

    @property
    def numbers(self) -> tuple[int, ...]:
        """Those of its attributes."""

    def encode(self, value: Any, have: Any) -> Mapping[int, bytes]:
        """The attributes that set a value; ``have`` is the present one, None on a new link."""

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        """The value as it is compared; None where the kernel did not send it."""


class Option(NamedTuple):
    """What is said of a key besides its type. ``key`` is its name in TOML."""

    key: str
    description: str
    wire: Wire | None = None
    live: Live = True
    #: What applies without the key, if its default does not show it; for the documents.
    absent: str = ""
    #: Its names in other tools: if one of them is written, the error suggests this key.
    also: tuple[str, ...] = ()


def option(
    description: str,
    *,
    default: Any = dataclasses.MISSING,
    default_factory: Any = dataclasses.MISSING,
    key: str = "",
    wire: Wire | None = None,
    live: Live = True,
    absent: str = "",
    also: tuple[str, ...] = (),
) -> Any:
    """One key; without a default it is required. ``key`` where Python cannot have TOML's name ("from")."""
    metadata = {"option": Option(key, description, wire, live, absent, also)}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class Field(NamedTuple):
    """One key of a table: its name in Python, its annotation, its default (MISSING: required), and its option."""

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


@dataclass_transform(eq_default=False, kw_only_default=True, frozen_default=True, field_specifiers=(option,))
class Table:
    """A TOML table, as it was read. Its docstring is its description in the documents."""

    #: True: keys that it does not declare are allowed, and are in ``undeclared``.
    free: ClassVar[bool] = False

    @property
    def undeclared(self) -> Mapping[str, Any]:
        """The keys that it does not declare; only if it is ``free``."""
        found: Mapping[str, Any] = vars(self).get("_undeclared", {})
        return found

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True, eq=False)(cls)

    def check(self) -> None:
        """Checks that valid values fit together: ValueError("KEY: what is wrong")."""


def fields_of(table: type[Table]) -> Mapping[str, Field]:
    """The keys of a table by their names in TOML, in the order of declaration."""
    kind: Any = table
    return _fields_of(kind)


@functools.cache
def _fields_of(table: Any) -> Mapping[str, Field]:
    return {field.option.key: field for field in _fields(table)}


def _fields(table: Any) -> Iterator[Field]:
    hints = typing.get_type_hints(table, include_extras=True)
    for each in dataclasses.fields(table):
        option: Option = each.metadata["option"]
        default = each.default
        if each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        yield Field(each.name, hints[each.name], default, option._replace(key=option.key or each.name))
