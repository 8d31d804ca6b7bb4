"""Who imports whom, where import-linter has no contract for it."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from netd.cli.main import VERBS, module_of
from netd.kinds import registry
from netd.model.key import NAMESPACE_KIND

TOP = Path(__file__).resolve().parents[2]
NETD = TOP / "netd"
#: Commands whose arguments are the keys of a table.
TABLES = {("netd.cli.fault", "netd.kinds.qdisc")}
#: They write the tables that kinds read, and show address translation between links.
REVERSE = ("netd.topology.importing.", "netd.topology.nat")


@pytest.mark.parametrize("package", ["netd", "tests"])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    # CycleError names the modules of the circle, and fails the test.
    graphlib.TopologicalSorter(imports).prepare()


@pytest.mark.parametrize("room", ["engine", "report"])
def test_no_kind_is_known_by_its_name(room: str) -> None:
    """Not even by a word that means something else there: these rooms hold no other names."""
    found = [
        place(path, literal)
        for path in sorted((NETD / room).rglob("*.py"))
        for literal in literals(ast.parse(path.read_text()))
        if literal.value in registry()
    ]
    assert not found


def test_a_kind_is_named_in_its_own_file_and_nowhere_else() -> None:
    """Elsewhere kinds are asked by their base class, traits and roles.

    Not meant are ordinary words ("address"), the kernel's words for types of links (``link.kind``), the JSON that
    commands read, and files of kinds, which declare objects of other kinds.
    """
    found = [
        place(path, literal)
        for path in sorted(NETD.rglob("*.py"))
        if path.parent != NETD / "kinds"
        for literal in names_of_kinds(ast.parse(path.read_text()))
        if literal.value in registry()
    ]
    assert not found


def test_the_kind_of_namespaces_has_its_name_in_the_key_and_in_the_words_of_the_files() -> None:
    assert NAMESPACE_KIND in registry()
    users = {path.relative_to(NETD).as_posix() for path in NETD.rglob("*.py") if "NAMESPACE_KIND" in path.read_text()}
    assert users == {"model/key.py", "config/diagnostics/schema.py"}


def test_no_module_of_a_kind_is_imported_but_by_what_declares_its_objects() -> None:
    graph = grimp.build_graph("netd", cache_dir=None)
    kinds = {type(kind).__module__ for kind in registry().values()}
    assert (
        not {
            (module, kind)
            for module in graph.modules
            if not module.startswith(("netd.kinds.", *REVERSE))
            for kind in kinds & graph.find_modules_directly_imported_by(module)
        }
        - TABLES
    )


def place(path: Path, literal: ast.Constant) -> str:
    """For the message of a failure."""
    return f"{path.relative_to(TOP)}:{literal.lineno}: {literal.value!r}"


def names_of_kinds(tree: ast.AST) -> Iterator[ast.Constant]:
    """The constants that can only be meant as the name of a kind: of a key, or for the registry."""
    for node in ast.walk(tree):
        meant: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            parts = [each for side in sides for each in ast.walk(side)]
            if any(isinstance(each, ast.Attribute) and ast.unparse(each).endswith("key.kind") for each in parts):
                meant = sides
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Key":
            meant = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "kind")]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "registry().get":
            meant = node.args[:1]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "registry()":
            meant = [node.slice]
        yield from (each for part in meant for each in ast.walk(part) if isinstance(each, ast.Constant))


def literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """The constants of a module but what cannot be a kind: JSON names, and what an event says is to be read again."""
    elsewhere: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            elsewhere.update(key for key in node.keys if key is not None)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("Invalidation", "WatchKey"):
            elsewhere.update(node.args[:1])
        elif isinstance(node, ast.Compare) and ast.unparse(node.left).endswith("what"):
            elsewhere.update(each for right in node.comparators for each in ast.walk(right))
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in elsewhere)


def test_each_module_is_reached_from_a_command_or_is_a_kind() -> None:
    graph = grimp.build_graph("netd", cache_dir=None)
    entries = {"netd.__main__", *map(module_of, VERBS)}
    entries |= {type(kind).__module__ for kind in registry().values()}
    reached = entries.union(*(graph.find_upstream_modules(entry) for entry in entries))
    packages = {module for module in graph.modules if graph.find_children(module)}
    assert not graph.modules - reached - packages
