"""The documents and the JSON schema come from the models: where they differ, one of them is wrong."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import manual
import pytest
import tables

from netd.cli.main import main
from netd.config.diagnostics.json_schema import json_schema
from netd.config.diagnostics.schema import layout
from netd.config.parse.parser import parse
from tests.support import labs

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "docs" / "reference" / "config.md"
EXAMPLES = sorted((ROOT / "etc" / "netd" / "examples").glob("*.toml"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def errors(text: str) -> list[str]:
    """Where the schema marks a file: the paths of the keys."""
    found = VALIDATOR.iter_errors(tomllib.loads(text))
    return sorted(".".join(str(part) for part in error.absolute_path) for error in found)


def test_the_tables_of_the_documents_are_those_of_the_models() -> None:
    text = CONFIG.read_text()
    assert text == tables.written(text), "run 'make docs'"


def test_every_key_of_every_table_is_documented() -> None:
    text = CONFIG.read_text()
    placed = {path for _, path, *_ in tables.MARK.findall(text)}
    for path, fields in tables.models().items():
        inside = {key for key in fields if f"{path}.{key}" in placed}
        assert all(f"| `{key}` |" in text for key in fields.keys() - inside), path
        assert all(field.option.description for field in fields.values()), path


def anchors(document: Path) -> set[str]:
    """What "#..." can name in a document: its headings, as GitHub writes them."""
    heads = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_of_a_document_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        leads_to = document.parent / name if name else document
        assert leads_to.exists(), target
        assert not anchor or anchor in anchors(leads_to), target


def test_the_schema_is_valid_and_every_key_in_it_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    undescribed: list[str] = []

    def look(found: Any, path: str) -> None:
        for key, below in found.get("properties", {}).items():
            if not below.get("description"):
                undescribed.append(f"{path}.{key}")

    look(schema, "")
    for name, definition in schema["$defs"].items():
        look(definition, name)
    # Tables in namespaces and hosts are references to those at the top level.
    assert not undescribed
    assert layout().keys() <= schema["properties"].keys()


@pytest.mark.parametrize("text", [labs.FIRST, labs.SECOND, labs.ATTACHED], ids=["first", "second", "attached"])
def test_what_netd_takes_the_schema_takes(text: str) -> None:
    assert not errors(text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_fit_the_schema(path: Path) -> None:
    assert not errors(path.read_text())


WRONG = {
    "an unknown table": ("[tunel.x]", ""),
    "an unknown key": ("[namespace.a.bridge.b]\nmtuu = 1", "namespace.a.bridge.b"),
    "a missing key": ("[macvlan.x]", "macvlan.x"),
    "a wrong type": ("[bridge.b]\nup = 1", "bridge.b.up"),
    "a number out of range": ("[vxlan.x]\nvni = 0", "vxlan.x.vni"),
    "a word that does not exist": ('[[route]]\nto = "default"\ntype = "x"', "route.0.type"),
    "a wrong form": ('[bridge.b]\nmac = "x"', "bridge.b.mac"),
    "an address without its length": ('[host.h.bridge.b]\naddresses = ["10.0.0.1"]', "host.h.bridge.b.addresses.0"),
    "a key of an inline table": (
        '[veth.v]\npeer = { name = "w", bridge_port = { cost = 0 } }',
        "veth.v.peer.bridge_port.cost",
    ),
    "a name that no link can have": ('[bridge."a/b"]', "bridge"),
    "one table instead of an array": ("[route]\n", "route"),
}


@pytest.mark.parametrize(("text", "where"), WRONG.values(), ids=WRONG.keys())
def test_what_the_schema_marks_netd_refuses_too(text: str, where: str) -> None:
    assert errors(text) == [where]
    assert parse("x.toml", text.encode()).problems


def test_the_how_to_pages_name_each_example() -> None:
    named = re.findall(r"`(\d\d-[\w-]+)`", (ROOT / "docs" / "howto" / "README.md").read_text())
    assert sorted(named) == [path.stem for path in EXAMPLES]


def test_each_section_of_the_reference_is_in_a_manual_page() -> None:
    taken = {heading for _, parts in manual.PAGES.values() for name, heading in parts if name == "config"}
    assert {*re.findall(r"^## (.+)$", CONFIG.read_text(), re.MULTILINE)} == taken | {"Commands"}
