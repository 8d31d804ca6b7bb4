"""The form of a link's options in netlink attributes (``Option.wire``): numbers, words, addresses."""

from __future__ import annotations

import functools
import ipaddress
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import or_
from types import MappingProxyType
from typing import Any

from netd.kinds.base.options import Option, Wire, fields_of
from netd.model.change import FieldDiff


def unpack(payload: bytes | None, layout: str) -> int | None:
    """One number, None if the kernel did not send it."""
    if payload is None or len(payload) < struct.calcsize(layout):
        return None
    value: int = struct.unpack_from(layout, payload)[0]
    return value


@dataclass(frozen=True, eq=False)
class Number:
    """An integer. ``scale``: so many of the kernel's units are one of TOML's (100: centiseconds for seconds)."""

    number: int
    layout: str = "=I"
    default: Any = None
    scale: int = 1

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.number,)

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        # A value that was found, and is restored, may be a fraction of a unit.
        return {self.number: struct.pack(self.layout, round(value * self.scale))}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        value = unpack(raw.get(self.number), self.layout)
        if value is None or self.scale == 1:
            return value
        return value // self.scale if value % self.scale == 0 else value / self.scale


@dataclass(frozen=True, eq=False)
class Flag:
    """A boolean."""

    number: int
    layout: str = "=B"
    default: Any = None

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.number,)

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        return {self.number: struct.pack(self.layout, bool(value))}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        value = unpack(raw.get(self.number), self.layout)
        return None if value is None else bool(value)


@dataclass(frozen=True, eq=False)
class Bit:
    """A boolean in an attribute that several options share: {u32 flags, u32 mask}, of which the mask's are written."""

    number: int
    bit: int
    default: Any = None

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.number,)

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        return {self.number: struct.pack("=II", self.bit if value else 0, self.bit)}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        # Without any flag the kernel does not send the attribute.
        return bool((unpack(raw.get(self.number), "=I") or 0) & self.bit)

    @staticmethod
    def joined(old: bytes, new: bytes) -> bytes:
        """One attribute that writes both."""
        (old_flags, old_mask), (flags, mask) = struct.unpack("=II", old), struct.unpack("=II", new)
        return struct.pack("=II", old_flags & ~mask | flags, old_mask | mask)


@dataclass(frozen=True, eq=False)
class Word:
    """One of some words, each a number to the kernel; a number that has no word is shown as it is."""

    number: int
    words: Mapping[str, int]
    layout: str = "=I"
    default: Any = None

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.number,)

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        return {self.number: struct.pack(self.layout, self.words.get(value, value))}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        value = unpack(raw.get(self.number), self.layout)
        return next((word for word, number in self.words.items() if number == value), value)


@dataclass(frozen=True, eq=False)
class Address:
    """An IPv4 address in one attribute or an IPv6 address in another, "" for none. ``multicast``: groups only."""

    four: int
    six: int
    multicast: bool = False
    default: Any = field(default="", init=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.four, self.six)

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        if not value and not have:
            return {}
        # No address: written as the zero address of the present family.
        address = ipaddress.ip_address(value or ("::" if ":" in have else "0.0.0.0"))
        return {self.four if address.version == 4 else self.six: address.packed}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        value = raw.get(self.four) or raw.get(self.six)
        if not value or len(value) not in (4, 16) or not any(value):
            return ""
        address = ipaddress.ip_address(value)
        return str(address) if address.is_multicast or not self.multicast else ""


@dataclass(frozen=True, eq=False)
class LowerLink:
    """The link that carries this one, by name: IFLA_LINK, or where ``number`` is not 0 an option that has its index.

    It is not in the options that are written: the index is known only when the request is sent.
    """

    number: int = 0
    default: Any = field(default="", init=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.number,) if self.number else ()

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        return {}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        """The index in the options, 0 for none."""
        return unpack(raw.get(self.number), "=I") or 0


@dataclass(frozen=True, eq=False)
class LowerNamespace:
    """The namespace of the link that carries this one, by name (IFLA_LINK_NETNSID): a link is created from there."""

    default: Any = field(default=None, init=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        return ()

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        return {}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        """It is no option of the link's kind: ``LinkKind`` reads it."""
        return None


@dataclass(frozen=True, eq=False)
class Beside:
    """A value that is in no attribute of the kind: ``LinkKind.read_options`` of the kind reads it."""

    default: Any = None

    @property
    def numbers(self) -> tuple[int, ...]:
        return ()

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        return {}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        return None


@functools.cache
def options(table: Any) -> Mapping[str, Option]:
    """The keys of a ``Table`` class that the kernel has in attributes."""
    return {key: each.option for key, each in fields_of(table).items() if each.option.wire is not None}


def encode(
    table: Any, fields: Mapping[str, Any], have: Mapping[str, Any] = MappingProxyType({}), prefix: str = ""
) -> dict[int, bytes]:
    """The attributes that set these of a table's options; ``have`` are the present values, none for a new link."""
    found: dict[int, bytes] = {}
    for key, option in options(table).items():
        name = prefix + key
        if option.wire is not None and fields.get(name) is not None:
            add(found, option.wire, option.wire.encode(fields[name], have.get(name)))
    return found


def add(found: dict[int, bytes], wire: Wire, more: Mapping[int, bytes]) -> None:
    """Adds attributes of an option; of those that several options share, its bits."""
    masks = getattr(wire, "masks", {})
    for number, payload in more.items():
        old = found.get(number)
        if old is not None and isinstance(wire, Bit):
            payload = Bit.joined(old, payload)
        elif old is not None and number in masks:
            payload = bytes(map(or_, old, payload))
        found[number] = payload


def rewritten(table: Any, raw: Mapping[int, bytes], fields: Mapping[str, Any]) -> dict[int, bytes]:
    """All attributes of a link, as they were read (``raw``), with other values of these options."""
    found = dict(raw)
    for key, option in options(table).items():
        if option.wire is not None and fields.get(key) is not None:
            masks: Mapping[int, bytes] = getattr(option.wire, "masks", {})
            for number in option.wire.numbers:
                old = found.pop(number, None)
                if old is not None and number in masks:
                    found[number] = bytes(one & ~own for one, own in zip(old, masks[number], strict=True))
            add(found, option.wire, option.wire.encode(fields[key], None))
    return found


def decode(table: Any, raw: Mapping[int, bytes], prefix: str = "") -> dict[str, Any]:
    """All options of a table, as they are compared; None what the kernel did not send."""
    return {prefix + key: option.wire.decode(raw) for key, option in options(table).items() if option.wire is not None}


def recreating(table: Any, differing: Mapping[str, FieldDiff]) -> set[str]:
    """Those of these fields that the kernel does not change on a link that is there."""
    found = set()
    for key, option in options(table).items():
        if key in differing:
            want, have = differing[key].want, differing[key].have
            live = option.live(want, have) if callable(option.live) else option.live
            found |= set() if live else {key}
    return found
