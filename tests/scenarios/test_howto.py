"""docs/howto/iproute2.md: what is typed, and what is written instead, are the same network."""

from __future__ import annotations

import re

import pytest

from tests.support.host import ROOT, Host

PAGE = (ROOT / "docs/howto/iproute2.md").read_text()


def lines(cell: str) -> list[str]:
    """The code of a cell, line by line."""
    return re.findall(r"`([^`]+)`", cell)


def rows(page: str) -> list[tuple[list[str], list[str]]]:
    """(commands, lines of the file) of each row of each table."""
    found = re.findall(r"^\| (`.*`) \| (`.*`) \|$", page, re.MULTILINE)
    return [(lines(typed), lines(written)) for typed, written in found if lines(typed) != ["iproute2"]]


ROWS = rows(PAGE.partition("## Address translation")[0])
TRANSLATION = rows(PAGE.partition("## Address translation")[2])


def case(typed: list[str], written: list[str]) -> object:
    """One row, with what not every kernel has."""
    said = "\n".join(typed)
    needs = [*re.findall(r" type (?!bridge|veth|vxlan)(\w+)", said), *(["netem"] if "netem" in said else [])]
    marks = [pytest.mark.needs_kernel(*needs)] if needs else []
    return pytest.param(typed, written, id=" ".join(written)[:60], marks=marks)


@pytest.mark.parametrize(("typed", "written"), [case(*row) for row in ROWS])
def test_the_commands_and_the_file_are_the_same_network(host: Host, typed: list[str], written: list[str]) -> None:
    for command in typed:
        host.sh(command)
    host.write("lab.toml", "\n".join(written) + "\n")
    assert host.netd("diff").stdout.startswith("in sync, ")


@pytest.mark.parametrize(("typed", "written"), TRANSLATION, ids=[written[0] for _, written in TRANSLATION])
def test_the_rules_can_be_typed_and_the_file_is_valid(host: Host, typed: list[str], written: list[str]) -> None:
    for hook in ("prerouting", "postrouting"):
        host.sh(f"nft 'add table ip nat; add chain ip nat {hook} {{ type nat hook {hook} priority 0; }}'")
    for command in typed:
        host.sh(command)
    host.write("lab.toml", "\n".join(written) + "\n")
    host.apply()
    assert len(TRANSLATION) == 3 and len(ROWS) > 15
