"""An expansion is what the same tables are, written by hand; whatever the arithmetic."""

from __future__ import annotations

import dataclasses
import ipaddress

from hypothesis import assume, given
from hypothesis import strategies as st

from netd.config.parse.parser import parse
from netd.config.patterns.template import template
from netd.config.patterns.values import PatternError
from netd.model.desired import Desired
from tests.support.fuzzing import tried

#: An expression, and Python's own idea of it (a text for eval, of this test only).
NUMBERS = st.one_of(st.integers(0, 300).map(str), st.sampled_from(["n", "row", "base"]))
SUMS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner).map(
            lambda all: f"({' '.join(all)})"
        ),
    ),
    max_leaves=8,
)


def by_python(text: str, values: dict[str, int]) -> int | None:
    """What Python makes of it; None: division by zero."""
    try:
        return int(eval(text.replace("/", "//"), {}, dict(values)))
    except ZeroDivisionError:
        return None


def without_places(objects: tuple[Desired, ...]) -> list[Desired]:
    """Objects, wherever they are written."""
    return [dataclasses.replace(each, origins=()) for each in objects]


@tried(60)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 50), SUMS)
def test_an_expansion_declares_what_the_same_tables_written_by_hand_declare(
    hosts: int, rows: int, base: int, sum: str
) -> None:
    other = sum.replace("row", "n")
    pattern = (
        f'[vars]\nbase = {base}\n[namespace."h{{1..{hosts}}}".veth."p{{row=0..{rows}:02}}"]\n'
        f'mtu = "{{1000 + ({sum}) % 400}}"\naddresses = ["{{net(\'10.0.0.0/8\', n * 1000 + row)}}"]\n'
        f'peer = {{ name = "h{{n}}x{{row}}", master = "br0" }}\n'
        f'[[namespace."h{{1..{hosts}}}".route]]\nto = "{{subnet(\'fd00::/16\', 48, ({other}) % 1000 + n)}}"\n'
        'type = "blackhole"\n'
    )
    written = ""
    for n in range(1, hosts + 1):
        for row in range(rows + 1):
            mtu = by_python(f"1000 + ({sum}) % 400", {"n": n, "row": row, "base": base})
            assume(mtu is not None)
            address = ipaddress.ip_address("10.0.0.0") + n * 1000 + row
            written += (
                f'[namespace.h{n}.veth.p{row:02}]\nmtu = {mtu}\naddresses = ["{address}/8"]\n'
                f'peer = {{ name = "h{n}x{row}", master = "br0" }}\n'
            )
        number = by_python(f"({other}) % 1000 + n", {"n": n, "base": base})
        assume(number is not None)
        there = ipaddress.ip_address("fd00::") + ((number or 0) << 80)
        written += f'[[namespace.h{n}.route]]\nto = "{there}/48"\ntype = "blackhole"\n'
    expanded, plain = parse("x.toml", pattern.encode()), parse("x.toml", written.encode())
    assert not expanded.problems and not plain.problems
    found = {each.key: each for each in without_places(expanded.objects)}
    assert len(found) == len(plain.objects)
    for each in without_places(plain.objects):
        assert dataclasses.replace(found[each.key], order=each.order) == each


@tried(300)
@given(st.text(alphabet="{}()nx0123456789.,+-*/%=<>!:'\"abcdert \n", max_size=60), SUMS)
def test_no_string_makes_the_evaluator_raise_anything_but_its_own_error(text: str, sum: str) -> None:
    for pattern in (text, "{" + text + "}", "{" + sum + text + "}"):
        try:
            found = template(pattern)
            for each in found.names({"base": 1}):
                assert each.name is not None
                break
            value = found.value()
            assert isinstance(value, str) or value({"n": 1, "row": 2, "base": 3}) is not None
        except PatternError:
            pass
