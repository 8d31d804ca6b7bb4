"""Machines that have other tools beside netd. ``make test-neighbours`` makes what they stand on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rig.conftest import FRESH, install, make_machine, package, pytest_runtest_makereport, scratch
from tests.rig.machine import Machine

__all__ = ["make_machine", "package", "pytest_runtest_makereport", "scratch"]

#: Built by tests/rig/mklayer.sh.
LAYER = FRESH.parent / "neighbours"
#: Where engines put overlays of their own.
DISKS = ("/var/lib/docker", "/var/lib/containers")


@pytest.fixture(scope="session")
def layers(scratch: Path, package: Path) -> list[Path]:
    """The packages of others, and netd's on top, as layers over the fresh root."""
    if not LAYER.is_dir():
        pytest.fail("there are no packages for the machines: run 'make test-neighbours'")
    return [install(scratch, package, LAYER), LAYER]


@pytest.fixture
def neighbour(make_machine: Callable[..., Machine], layers: list[Path]) -> Callable[[str], Machine]:
    """Makes and boots a machine on which netd runs, and the others' services wait to be started."""

    def make(name: str) -> Machine:
        machine = make_machine(name, *layers, disks=DISKS)
        machine.start()
        return machine

    return make
