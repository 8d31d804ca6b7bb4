"""Whatever stands in the files: no crash, true positions, one winner for each name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import tomli
from hypothesis import given
from hypothesis import strategies as st

from netd.config import Config, ConfigDirectory
from netd.config.diagnostics.positions import Positions
from netd.config.parse.parser import parse
from tests.support.fuzzing import tried

WORDS = st.sampled_from(
    ["bridge", "veth", "vxlan", "interface", "namespace", "route", "rule", "neighbor", "sysctl", "nat", "dnat", "peer",
     "name", "master", "mtu", "a", "b", '"c d"', "'net.ipv4'", "net", "ipv4", "ip_forward", "to", "port", "addresses",
     "host", "address", "vxlan.x.remote"]
)  # fmt: skip
KEYS = st.lists(WORDS, min_size=1, max_size=4).map(".".join)
VALUES = st.recursive(
    st.sampled_from(
        ["1", "-1", "1.5", "true", '"x"', '"10.0.0.1/24"', '"10.0.0.1"', '"host:a"', '"auto"', "1979-05-27", "'''\n'''"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
        st.lists(st.tuples(WORDS, inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=5,
)
LINES = st.one_of(
    KEYS.map("[{}]".format),
    KEYS.map("[[{}]]".format),
    st.tuples(KEYS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
)
TEXTS = st.lists(LINES, max_size=12).map("\n".join)


@tried(100)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode), TEXTS.map(str.encode)))
def test_no_content_makes_the_parser_fall(content: bytes) -> None:
    result = parse("x.toml", content)
    lines = content.decode(errors="replace").split("\n")
    for mistake in result.problems:
        assert str(mistake).startswith("x.toml:")
        assert 0 <= mistake.line <= len(lines)
        if mistake.line:
            assert 1 <= mistake.column <= len(lines[mistake.line - 1]) + 1


@tried(100)
@given(TEXTS)
def test_every_key_of_a_valid_text_has_a_place_where_it_stands(text: str) -> None:
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    positions, rows = Positions(text), text.split("\n")

    def look(value: object, path: tuple[str | int, ...]) -> None:
        if path and isinstance(path[-1], str):
            place = positions.name(path)
            assert place is not None, path
            assert path[-1] in rows[place.line - 1][place.column - 1 :][: place.length], (path, place)
        if isinstance(value, dict):
            for key, below in value.items():
                look(below, (*path, key))
        elif isinstance(value, list):
            for number, below in enumerate(value):
                look(below, (*path, number))

    look(data, ())


TABLES = st.sampled_from(
    [f"[bridge.{name}]\nmtu = {mtu}\n" for name in "ab" for mtu in (1300, 1400)]
    + [f'[veth.{name}]\npeer = {{ name = "{peer}" }}\n' for name, peer in ("ab", "ba", "cd")]
    + [f'[vxlan.{name}]\nvni = 1\ndev = "{dev}"\nmaster = "a"\n' for name in "acd" for dev in "abd"]
    + [f'[[route]]\nto = "10.0.0.0/8"\ntype = "{kind}"\n' for kind in ("blackhole", "prohibit")]
    + [f"[sysctl]\nnet.core.somaxconn = {value}\n" for value in (1, 2)]
    + [
        '[interface.a]\naddresses = ["10.0.0.1/8"]\n',
        "[namespace.n]\nipv6 = false\n",
        "[namespace.n.bridge.a]\n",
        "[broken",
    ]
)


def settled(files: dict[str, str]) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, f"{name}.toml").write_text(text)
        return ConfigDirectory(os.fspath(folder), None, trusted=False).read(warn=True)


@tried(100)
@given(st.dictionaries(st.sampled_from("pqrs"), TABLES, min_size=1))
def test_every_name_has_one_owner_and_every_loss_is_reported(files: dict[str, str]) -> None:
    config = settled(files)
    made = [link for each in config.desired.values() for link in each.provides]
    assert len(made) == len(set(made))
    for state in config.files:
        told = any(mistake.file == state.path for mistake in config.errors)
        assert told == (state.state != "ok")
    for each in config.desired.values():
        assert each.requires == () or each.key.kind in ("vxlan", "address") or each.provides


@tried(100)
@given(st.dictionaries(st.sampled_from("pqrs"), TABLES, min_size=1), st.sampled_from("pqrs"))
def test_a_file_that_sorts_last_takes_nothing_from_the_others(files: dict[str, str], text: str) -> None:
    before = settled(files)
    after = settled(files | {"z": files.get(text, "[bridge.a]\nmtu = 1500\n")})
    assert before.desired.keys() <= after.desired.keys()
    for key, each in before.desired.items():
        assert after.desired[key].fields == each.fields
