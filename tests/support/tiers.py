"""Two tiers of tests: ``--tier first`` touches every part within minutes, ``--tier second`` runs all the others.

First are all unit tests, and of every other test function one case of its parameters, unless it is marked
``thorough``. Without the option everything runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

#: Their cases cost next to nothing.
CHEAP = frozenset({"unit", "code"})
TESTS = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of the tiers."""
    parser.addoption("--tier", choices=("first", "second"), help="run one of the two tiers of tests only")


def pytest_configure(config: pytest.Config) -> None:
    """The marker of what is not in the first tier."""
    config.addinivalue_line("markers", "thorough: takes long, so it is in the second tier only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves one tier."""
    tier = config.getoption("--tier")
    if tier is None:
        return
    seen: set[str] = set()
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        function = item.nodeid.partition("[")[0]
        first = item.get_closest_marker("thorough") is None and (is_cheap(item.path) or function not in seen)
        seen.add(function)
        (chosen if first == (tier == "first") else others).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=others)


def is_cheap(path: Path) -> bool:
    """Whether all cases of this file's tests are in the first tier."""
    return path.is_relative_to(TESTS) and path.relative_to(TESTS).parts[0] in CHEAP
