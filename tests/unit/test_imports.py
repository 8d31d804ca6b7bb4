"""Who imports whom, where import-linter has no contract for it."""

from __future__ import annotations

import graphlib

import grimp
import pytest

from netd.cli.main import VERBS
from netd.kinds import registry


@pytest.mark.parametrize("package", ["netd", "tests"])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    # CycleError names the modules of the circle, and fails the test.
    graphlib.TopologicalSorter(imports).prepare()


def test_each_module_is_reached_from_a_command_or_is_a_kind() -> None:
    graph = grimp.build_graph("netd", cache_dir=None)
    entries = {"netd.__main__", *(f"netd.cli.{verb}" for verb in VERBS)}
    entries |= {type(kind).__module__ for kind in registry().values()}
    reached = entries.union(*(graph.find_upstream_modules(entry) for entry in entries))
    packages = {module for module in graph.modules if graph.find_children(module)}
    assert not graph.modules - reached - packages
