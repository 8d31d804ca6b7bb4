"""A plugin, ``pytest -p tests.rig.units tests/scenarios``: runs the scenarios under the hardened unit."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rig.conftest import FRESH, installed, package, scratch
from tests.rig.host import SOURCE, UnitHost
from tests.rig.machine import Machine
from tests.support.host import ROOT

__all__ = ["installed", "package", "scratch"]

#: Scenarios that start the daemon by themselves. (This one plays the journal; test_service.py asks the real one.)
ELSEWHERE = frozenset({"test_the_journal_gets_fields_that_can_be_searched"})


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
    """Makes hosts, as tests.support.host.Host is made."""

    # The tests' own servers are run by this Python; netd is not.
    binds = {str(ROOT): ROOT, SOURCE: ROOT}
    if sys.base_prefix != "/usr":
        binds[sys.base_prefix] = Path(sys.base_prefix)

    def make(name: str, logs: Path) -> UnitHost:
        machine = Machine(name, idle, Path(tempfile.mkdtemp(dir=scratch)), binds)
        machine.start()
        return UnitHost(machine, logs)

    return make
