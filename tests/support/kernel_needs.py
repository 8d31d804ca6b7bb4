"""``@pytest.mark.needs_kernel("vlan", "bond")``: a test of what not every kernel has.

Where this kernel has not all of it, the test is left out: ``make test-kinds`` runs it under another kernel.
"""

from __future__ import annotations

import functools
import os
import subprocess

import pytest

#: How to ask for what is no kind of link; in a namespace of its own.
PROBES = {
    "netem": "tc qdisc add dev lo root netem delay 1ms",
    "vlan_filtering": "ip link add probe type bridge vlan_filtering 1",
}
#: What the kernel says of a kind that it has neither built in nor as a module.
UNKNOWN = "Unknown device type"


@functools.cache
def has(need: str) -> bool:
    """Whether this kernel has a kind of link, or one of ``PROBES``."""
    if os.geteuid() != 0:
        return True  # such a test fails or is skipped by itself, and says why
    command = PROBES.get(need, f"ip link add probe type {need}")
    done = subprocess.run(["unshare", "-n", *command.split()], capture_output=True, text=True, check=False)
    return done.returncode == 0 if need in PROBES else UNKNOWN not in done.stderr


def needs_of(item: pytest.Item) -> set[str]:
    """What a test needs."""
    return {need for mark in item.iter_markers("needs_kernel") for need in mark.args}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that divides what is chosen among several kernels."""
    parser.addoption("--shard", metavar="I/N", help="run one of N parts of the chosen tests only")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", "needs_kernel(name, ...): kinds of links that the kernel must have")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves what this kernel can run; and of that one part."""
    chosen = [item for item in items if all(map(has, sorted(needs_of(item))))]
    if config.getoption("--shard"):
        part, parts = map(int, config.getoption("--shard").split("/"))
        chosen = chosen[part - 1 :: parts]
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = chosen
