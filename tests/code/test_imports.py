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


@pytest.mark.parametrize("package", ["netd", "tests"])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    # CycleError names the modules of the circle, and fails the test.
    graphlib.TopologicalSorter(imports).prepare()


@pytest.mark.parametrize("room", ["engine", "report"])
def test_no_kind_is_known_by_its_name(room: str) -> None:
    """A kind's name stands in its own module, and ``netd.model.key`` says which kind holds the others."""
    assert NAMESPACE_KIND in registry()
    found = [
        f"{path.relative_to(TOP)}:{literal.lineno}: {literal.value!r}"
        for path in sorted((TOP / "netd" / room).rglob("*.py"))
        for literal in literals(ast.parse(path.read_text()))
        if literal.value in registry()
    ]
    assert not found


@pytest.mark.parametrize("room", ["engine", "report"])
def test_no_module_of_a_kind_is_imported(room: str) -> None:
    graph = grimp.build_graph("netd", cache_dir=None)
    kinds = {type(kind).__module__ for kind in registry().values()}
    modules = {f"netd.{room}", *graph.find_descendants(f"netd.{room}")}
    assert not {
        (module, kind) for module in modules for kind in kinds & graph.find_modules_directly_imported_by(module)
    }


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
