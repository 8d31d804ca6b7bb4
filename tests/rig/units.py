"""A plugin, ``pytest -p tests.rig.units tests/scenarios``: runs the scenarios under the hardened unit."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host import ROOT
from tests.rig.conftest import FRESH, installed, package, scratch
from tests.rig.host import UnitHost
from tests.rig.machine import Machine

__all__ = ["installed", "package", "scratch"]

#: Scenarios, or files of them, that want a machine without netd's package or journal, or a netd that a module of the
#: tests has altered: the unit's is the package's.
ELSEWHERE = frozenset({
    "test_full_pass",
    "test_overruns",
    "test_entries_of_others_outlive_a_full_pass_a_reload_and_the_death_of_the_daemon",
    "test_check_needs_no_root_and_touches_nothing",
    "test_folders_may_be_given_by_option_and_by_environment",
    "test_the_journal_gets_fields_that_can_be_searched",
})  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves those out."""
    out = [item for item in items if ELSEWHERE & {item.name.partition("[")[0], item.path.stem}]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session")
def idle(scratch: Path, installed: Path) -> list[Path]:
    """The layers of a machine with netd's package, on which netd does not start by itself."""
    machine = Machine("idle", [installed, FRESH], scratch)
    machine.start()
    machine.run("systemctl", "disable", "--now", "netd")
    machine.power_off()
    return [machine.disk, installed, FRESH]


@pytest.fixture
def unit_host(scratch: Path, idle: list[Path]) -> Callable[[str, Path], UnitHost]:
    """Makes hosts, as tests.host.Host is made."""

    # The tests' own servers are run by this Python; netd is not.
    binds = {str(ROOT): ROOT} | ({sys.base_prefix: Path(sys.base_prefix)} if sys.base_prefix != "/usr" else {})

    def make(name: str, logs: Path) -> UnitHost:
        machine = Machine(name, idle, Path(tempfile.mkdtemp(dir=scratch)), binds)
        machine.start()
        return UnitHost(machine, logs)

    return make
