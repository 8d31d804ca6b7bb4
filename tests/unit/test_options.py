"""One declaration of a key: what it says of the TOML value and of the netlink attribute."""

from __future__ import annotations

import struct
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from netd.kinds import registry
from netd.kinds.base.kind import Kind, TableContext
from netd.kinds.base.options import Table, fields_of, option
from netd.kinds.base.reading import Violation, read
from netd.kinds.base.values import Form, Range
from netd.kinds.link.attributes import Address, Flag, LowerLink, Number, Word, decode, encode, recreating
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import FieldDiff
from netd.model.desired import Origin
from netd.model.key import LinkName

ROOT = Path(__file__).parents[2]
#: "Kind about 14 hooks": what a subclass may have to know.
MOST_HOOKS = 15


class Inner(Table):
    """A table in a table."""

    size: Annotated[int, Range(1, 9)] = option("size")
    words: list[Literal["a", "b"]] = option("words", default_factory=list)


class Outer(Table):
    """All that a key can be."""

    one: Inner | None = option("one", default=None)
    many: list[Inner] = option("many", default_factory=list)
    text: Annotated[str, Form(str.upper)] | Annotated[int, Range(0, 5)] | Literal["auto"] = option(
        "text", default="auto"
    )
    from_: bool = option("a name that Python has taken", default=False, key="from")

    def check(self) -> None:
        if self.from_ and self.one is None:
            raise ValueError("from: needs one")


def violations(raw: Any) -> list[tuple[tuple[str | int, ...], str]]:
    found = read(Outer, raw)
    assert isinstance(found, list)
    return [(each.path, each.text) for each in found]


def test_every_error_is_found_at_its_path() -> None:
    raw = {
        "one": {"size": 10, "words": ["a", "c", 3]}, "many": [{}, 7, {"size": True}], "text": 1.5, "from": 1, "x": 1,
    }  # fmt: skip
    assert violations(raw) == [
        (("one", "size"), "must be at most 9, not 10"),
        (("one", "words", 1), "must be 'a' or 'b', not 'c'"),
        (("one", "words", 2), "must be 'a' or 'b', not an integer"),
        (("many", 0), "missing key 'size'"),
        (("many", 1), "must be a table, not an integer"),
        (("many", 2, "size"), "must be an integer, not a boolean"),
        (("text",), "must be a string, an integer or 'auto', not a float"),
        (("from",), "must be a boolean, not an integer"),
        (("x",), "unknown key 'x'"),
    ]
    assert violations({"from": True}) == [((), "from: needs one")]
    assert violations([]) == [((), "must be a table, not an array")]


def test_what_is_right_is_brought_into_its_canonical_form() -> None:
    found = read(Outer, {"text": "abc", "many": [{"size": 1}], "from": False})
    assert isinstance(found, Outer)
    assert (found.text, found.many[0].size, found.many[0].words, found.from_, found.one) == ("ABC", 1, [], False, None)


def test_an_unknown_key_is_reported_with_those_that_are_allowed_there() -> None:
    found = read(Outer, {"one": {"size": 1, "sise": 2}})
    assert found == [Violation(("one", "sise"), "unknown key 'sise'", known=frozenset({"size", "words"}))]


WIRES: list[tuple[Any, Any, dict[int, bytes]]] = [
    (Number(3), 7, {3: struct.pack("=I", 7)}),
    (Number(3, "!H"), 4789, {3: b"\x12\xb5"}),
    (Number(3, scale=100), 15, {3: struct.pack("=I", 1500)}),
    (Number(3, scale=100), 0.5, {3: struct.pack("=I", 50)}),
    (Flag(4, "=I"), True, {4: struct.pack("=I", 1)}),
    (Flag(4), False, {4: b"\0"}),
    (Word(5, {"one": 1, "two": 2}, "=H"), "two", {5: struct.pack("=H", 2)}),
    (Address(1, 2), "10.0.0.1", {1: b"\x0a\0\0\1"}),
    (Address(1, 2), "fd00::1", {2: b"\xfd" + bytes(14) + b"\1"}),
]


@pytest.mark.parametrize(("wire", "value", "raw"), WIRES)
def test_a_value_reads_back_as_it_was_written(wire: Any, value: Any, raw: dict[int, bytes]) -> None:
    assert dict(wire.encode(value, None)) == raw
    assert wire.decode(raw) == value
    assert type(wire.decode(raw)) is type(value)
    assert wire.numbers


def test_what_the_kernel_did_not_send_is_unknown_and_no_address_is_none() -> None:
    assert [wire.decode({}) for wire in (Number(3), Flag(4), Word(5, {}))] == [None] * 3
    assert Number(3, "=I").decode({3: b"\1"}) is None
    assert Address(1, 2).decode({}) == Address(1, 2).decode({1: bytes(4)}) == ""
    assert Address(1, 2, multicast=True).decode({1: b"\x0a\0\0\1"}) == ""
    assert Word(5, {"one": 1}).decode({5: struct.pack("=I", 9)}) == 9


def test_an_address_is_taken_away_as_the_zero_address_of_its_family() -> None:
    assert dict(Address(1, 2).encode("", "10.0.0.1")) == {1: bytes(4)}
    assert dict(Address(1, 2).encode("", "fd00::1")) == {2: bytes(16)}
    assert dict(Address(1, 2).encode("", None)) == {}


class Wired(Table):
    """Options that the kernel has."""

    dev: str | None = option("below", default=None, wire=LowerLink(3), live=False)
    size: int | None = option("size", default=None, wire=Number(1), live=lambda want, have: want > have)
    name: str | None = option("no attribute", default=None)


def test_the_table_tells_how_its_options_are_written_read_and_what_recreates() -> None:
    assert encode(Wired, {"p.size": 5, "p.dev": "x", "p.name": "y"}, prefix="p.") == {1: struct.pack("=I", 5)}
    assert decode(Wired, {1: struct.pack("=I", 5), 3: struct.pack("=I", 8)}) == {"dev": 8, "size": 5}
    assert recreating(Wired, {"size": FieldDiff(6, 5), "name": FieldDiff("a", "b")}) == set()
    assert recreating(Wired, {"size": FieldDiff(4, 5), "dev": FieldDiff("a", "b")}) == {"size", "dev"}


def test_a_kind_has_few_hooks() -> None:
    own = {name for name in vars(Kind) if not name.startswith("_")} | set(Kind.__annotations__)
    assert len(own) <= MOST_HOOKS, sorted(own)


def test_every_option_of_a_link_that_the_kernel_defaults_says_so_in_the_values_of_its_type() -> None:
    for kind in registry().values():
        if isinstance(kind, LinkKind):
            for key, field in fields_of(kind.table).items():
                wire = field.option.wire
                if wire is not None and wire.default not in (None, ""):
                    assert wire.decode(dict(wire.encode(wire.default, None))) == wire.default, (kind.name, key)


def test_the_kind_in_contributing_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("```python\n")[2].partition("```")[0]
    module = types.ModuleType("netd.kinds.example")
    module.__package__ = "netd.kinds"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(text, "CONTRIBUTING.md", "exec"), vars(module))
    assert len(text.splitlines()) <= 60
    (kind,) = (each for each in vars(module).values() if isinstance(each, type) and "toml" in vars(each))
    assert issubclass(kind, LinkKind)
    table = read(kind().table, {"dev": "eth0"})
    assert not isinstance(table, list)
    one = next(iter(kind().declare(table, TableContext("", "m0", Origin("lab.toml", (kind.name, "m0"))))))
    assert one.requires == (LinkName("", "eth0"),) and one.fields["mode"] == "bridge"
