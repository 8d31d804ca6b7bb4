"""Patterns and variables: what they become, where errors are."""

from __future__ import annotations

import contextlib
import random

import pytest

from netd.config.parse.parser import Parsed, parse
from netd.config.patterns.expression import DEEPEST
from netd.config.patterns.template import MOST_TABLES, template
from netd.config.patterns.values import PatternError, Value

VALUES: dict[str, Value] = {"n": 7, "row": 3, "lab": "10.0.0.0/16", "on": True}


def value(text: str) -> object:
    """What a string is with VALUES."""
    found = template(text).value()
    return found if isinstance(found, str) else found(VALUES)


def keys(text: str) -> list[str]:
    """The names of all objects that a file declares."""
    found = parse("lab.toml", text.encode())
    assert not found.problems, [str(each) for each in found.problems]
    return [str(each.key) for each in found.objects]


def errors(text: str) -> list[str]:
    """The errors of a file, without the lines that they show."""
    return [str(each).partition("\n")[0] for each in parse("lab.toml", text.encode()).problems]


RESULTS = {
    "{n}": 7,
    "{n + 1}": 8,
    "{-n * 2 + 20 / 3 % 4}": -12,
    "{(n + 1) * (n - 1)}": 48,
    "{7 / 2}": 3,
    "{-7 / 2}": -4,
    "{n == 7}": True,
    "{n <= 6}": False,
    "{1500 - 50 * (n > 4)}": 1450,
    "{on}": True,
    "x{on}": "xtrue",
    "h{n:03}": "h007",
    "{n:03}": "007",
    "{lab}": "10.0.0.0/16",
    "{net(lab, n + 1)}": "10.0.0.8/16",
    "{net('10.0.0.0/16', 257)}": "10.0.1.1/16",
    "{addr('fd00::/64', 16)}": "fd00::10",
    '{subnet("10.0.0.0/8", 24, 258)}': "10.1.2.0/24",
    "{net(subnet(lab, 24, row), 1)}": "10.0.3.1/24",
    "{mac('02:00:00:00:00:ff', 1)}": "02:00:00:00:01:00",
    "{{n}}": "{n}",
    "{{{n}}}": "{7}",
    "a}b": "a}b",
    "10.{row}.0.{n}/24": "10.3.0.7/24",
}


@pytest.mark.parametrize("text", RESULTS)
def test_a_string_becomes_what_its_expressions_are_and_a_single_one_keeps_its_type(text: str) -> None:
    found = value(text)
    assert found == RESULTS[text] and type(found) is type(RESULTS[text])


WRONG = {
    "{n": "'{' is not closed: for a brace write '{{'",
    "a{": "'{' is not closed: for a brace write '{{'",
    "{}": "a number, a variable or a function is missing (for a brace write '{{')",
    "{n n}": "'n' is unexpected here",
    "{a b}": "'b' is unexpected here",
    "{m}": "there is no variable 'm'",
    "{rwo}": "there is no variable 'rwo': did you mean 'row'?",
    "{nett(lab, 1)}": "there is no function 'nett': did you mean 'net'?",
    "{net(lab)}": "write net(CIDR, i)",
    "{net('10.0.0.1/24', 1)}": "'10.0.0.1/24' has host bits set: did you mean '10.0.0.0/24'?",
    "{net('x', 1)}": "'x' is not a network, such as 10.0.0.0/24",
    "{net(1, 1)}": "the first value must be a network in quotes",
    "{addr('10.0.0.0/24', 256)}": "addr('10.0.0.0/24', 256): this network has the addresses 0 to 255",
    "{addr('10.0.0.0/24', -1)}": "addr('10.0.0.0/24', -1): this network has the addresses 0 to 255",
    "{subnet('10.0.0.0/24', 16, 0)}": "the length of a subnet of it is 24 to 32",
    "{subnet('10.0.0.0/24', 26, 4)}": "it has the subnets 0 to 3 of this length",
    "{mac('ff:ff:ff:ff:ff:ff', 1)}": "there are no addresses beyond ff:ff:ff:ff:ff:ff",
    "{n / (n - 7)}": "7 / 0: division by zero",
    "{n % 0}": "7 % 0: division by zero",
    "{lab + 1}": "'+' needs numbers, not '10.0.0.0/16'",
    "{lab < 1}": "only numbers can be compared so",
    "{1 < n < 9}": "compare two values only",
    "{007}": "write 7",
    "{n:x}": "a width is a number of digits",
    "{n:99}": "a width is a number of digits up to 64",
    "{'a}": "a quote is not closed",
    "{x=n}": "a name belongs to a range: {x=1..4}",
    "{1..4}": "a range is only allowed in the name of a table; below it, write its variable, {n}",
    "{" + "(" * 40 + "1" + ")" * 40 + "}": f"more than {DEEPEST} parentheses within each other",
    "{" + "1 + " * 300 + "1}": "more than 500 characters",
    "{340282366920938463463374607431768211456 * 2}": "the number is too large",
    "{" + "9" * 60 + "}": "the number is too large",
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_in_an_expression_says_what_is_wrong_and_what_to_write(text: str) -> None:
    with pytest.raises(PatternError) as caught:
        value(text)
    assert WRONG[text] in str(caught.value)


def test_a_range_declares_a_table_for_each_number_and_n_is_the_number() -> None:
    assert keys('[namespace."h{1..2}".bridge."b{n}x"]') == [
        "namespace/h1",
        "h1:bridge/b1x",
        "namespace/h2",
        "h2:bridge/b2x",
    ]


def test_a_second_range_has_a_name_and_names_can_have_several() -> None:
    found = keys('[bridge."r{row=1..2}c{col=row..2:02}"]\naddresses = ["10.{row}.{col}.1/24"]')
    assert [each for each in found if "address" in each] == [
        f"address/r{row}c0{col}/10.{row}.{col}.1/24" for row, col in ((1, 1), (1, 2), (2, 2))
    ]


def test_arrays_keys_and_tables_below_a_range_are_expanded_too() -> None:
    text = (
        '[[namespace."h{1..2}".route]]\nto = "10.{n}.0.0/16"\ntype = "blackhole"\n'
        '[namespace."h{1..2}".sysctl]\n"net/ipv4/conf/x{n}/forwarding" = "{n == 1}"\n'
        '[[namespace."h{1..2}".nat.masquerade]]\nout = "e{n}"\n'
    )
    assert {
        "h2:route/main/10.2.0.0/16/0",
        "h2:sysctl/net.ipv4.conf.x2.forwarding",
        "h2:nat/masquerade/inet/*,e2",
    } <= set(keys(text))


def test_a_variable_has_a_type_and_can_use_those_before_it() -> None:
    text = (
        '[vars]\nbase = 1000\nmtu = "{base + 400}"\ncount = 3\n[bridge."b{1..count}"]\nmtu = "{mtu}"\nup = "{n == 1}"\n'
    )
    objects = parse("x.toml", text.encode()).objects
    assert [(each.fields["mtu"], each.fields["up"]) for each in objects] == [(1400, True), (1400, False), (1400, False)]


def test_plain_tables_add_to_those_of_a_pattern() -> None:
    text = (
        '[[namespace."h{1..2}".route]]\nto = "10.1.0.0/16"\ntype = "blackhole"\n'
        '[namespace.h2.bridge.br0]\n[[namespace.h2.route]]\nto = "10.2.0.0/16"\ntype = "blackhole"\nmetric = "x"\n'
    )
    assert errors(text) == ["lab.toml:8:1: namespace.h2.route: metric: must be an integer, not a string"]
    assert keys(text.replace('metric = "x"\n', "")) == [
        "namespace/h1", "h1:route/main/10.1.0.0/16/0", "namespace/h2", "h2:route/main/10.1.0.0/16/0",
        "h2:route/main/10.2.0.0/16/0", "h2:bridge/br0",
    ]  # fmt: skip


PLACES = {
    "a value": (
        '[namespace."h{1..9}".veth.eth0]\npeer = { name = "p{n}" }\nmtu = "{60 + n}"\n',
        "lab.toml:3:1: (n = 1) namespace.h1.veth.eth0: mtu: must be at least 68, not 61 (and 6 more, up to n = 7)",
    ),
    "an expression": (
        '[bridge."b{1..300}"]\naddresses = [\n"{net(\'10.0.0.0/24\', n)}"]\n',
        "lab.toml:3:1: (n = 256) bridge.b256: addresses: net('10.0.0.0/24', 256): this network has the addresses "
        "0 to 255 (and 44 more, up to n = 300)",
    ),
    "an unknown key": (
        '[bridge."b{4..4}"]\nmtuu = 1\n',
        "lab.toml:2:1: (n = 4) bridge.b4: unknown key 'mtuu': did you mean 'mtu'?",
    ),
    "a clash": (
        '[bridge."b{1..3}"]\n[bridge."b{m=3..4}"]\n',
        "lab.toml:2:1: (m = 3) bridge.b3: is declared already, at line 1 (n = 3)",
    ),
    "a clash with a plain table": (
        '[bridge."b{1..3}"]\n[bridge.b2]\n',
        "lab.toml:2:1: bridge.b2: is declared already, at line 1 (n = 2)",
    ),
    "names of links": (
        '[namespace."h{1..2}".veth.eth0]\npeer = { name = "same" }\n',
        "lab.toml:2:10: (n = 2) namespace.h2.veth.eth0: the name 'same' is taken by h1:veth/eth0 at line 1 (n = 1)",
    ),
    "a name that is too long": (
        '[bridge."bridge-numbers-{1..1}"]\n',
        "lab.toml:1:9: (n = 1) bridge.bridge-numbers-1: 'bridge-numbers-1' is too long",
    ),
    "an empty range": (
        '[bridge."b{3..1}"]\n',
        'lab.toml:1:1: bridge."b{3..1}": {3..1}: the range 3..1 is empty: write {1..3}',
    ),
    "two ranges without a name": (
        '[namespace."h{1..2}".bridge."b{1..2}"]\n',
        "lab.toml:1:1: (n = 1) namespace.h1.bridge.\"b{1..2}\": {1..2}: 'n' is a variable here already: "
        "name this range, {NAME=1..2}",
    ),
    "an unknown variable": ('[bridge.b]\nmaster = "{n}"\n', "lab.toml:2:1: bridge.b: master: there is no variable 'n'"),
    "a variable": ("[vars]\nx = []\n", "lab.toml:2:1: vars.x: must be an integer, a string or a boolean, not an array"),
    "a brace": (
        '[bridge.b]\nmaster = "{"\n',
        "lab.toml:2:1: bridge.b: master: '{' is not closed: for a brace write '{{'",
    ),
    "too many": (f'[bridge."b{{1..{MOST_TABLES + 1}}}"]\n', "these are 100001 tables, and a file can have 100000"),
    "too many in each": (
        '[namespace."h{1..1000}".bridge."b{i=1..101}"]\n',
        "lab.toml: declares too many tables by patterns",
    ),
}


@pytest.mark.parametrize("what", PLACES)
def test_an_error_names_its_line_and_the_numbers(what: str) -> None:
    text, wanted = PLACES[what]
    assert wanted in errors(text)[0]


def test_files_without_patterns_keep_their_braces_in_inline_tables_and_have_no_places() -> None:
    parsed: Parsed = parse("x.toml", b'[veth.v]\npeer = { name = "w" }\n')
    assert parsed.objects and parsed.source.places is None


WORDS = [
    "n", "row", "lab", "(", ")", "net(", "addr(", "mac(", "subnet(", ",", "+", "-", "*", "/", "%", "==", "<", "..", ":",
    "03", "'10.0.0.0/8'", "'02:00:00:00:00:00'", "1", "9999999999", "'", "}", "{", " ", "=", "\x01", "é", "^", "!=",
]  # fmt: skip


def test_no_expression_raises_anything_but_an_error_of_its_own() -> None:
    chosen = random.Random(1)
    for _ in range(5000):
        text = "{" + "".join(chosen.choices(WORDS, k=chosen.randrange(40))) + "}"
        with contextlib.suppress(PatternError):
            value(text)
