"""Machines for the tests: fresh ones, and ones with netd's package installed. ``make test-rig`` makes their root."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import need_root
from tests.rig.machine import Machine
from tests.support.host import ROOT

#: Built by tests/rig/mkroot.sh.
FRESH = ROOT / ".venv/.rig/root"
#: Built by 'make deb'.
PACKAGE = ROOT / ".venv/.rig/package"
MACHINES = pytest.StashKey[list[Machine]]()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder on a disk: the upper side of an overlay cannot be an overlay itself."""
    need_root()
    if not FRESH.is_dir():
        pytest.fail("there is no root for the machines: run 'make test-rig'")
    folder = Path(tempfile.mkdtemp(prefix="netd-rig-", dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def package() -> Path:
    """The Debian package of this tree."""
    found = sorted(PACKAGE.glob("netd_*.deb"))
    if len(found) != 1:
        pytest.fail("there is no package to install on the machines: run 'make test-rig'")
    return found[0]


def install(scratch: Path, package: Path, *layers: Path) -> Path:
    """What the installation of the package writes, as a layer over those given and the fresh root."""
    machine = Machine("installer", [*layers, FRESH], scratch, {"/package": package.parent})
    machine.start()
    machine.run("apt-get", "install", "-y", f"/package/{package.name}")
    machine.power_off()
    return machine.disk


@pytest.fixture(scope="session")
def installed(scratch: Path, package: Path) -> Path:
    """A machine's layer with netd."""
    return install(scratch, package)


@pytest.fixture
def make_machine(
    request: pytest.FixtureRequest, scratch: Path, package: Path, tmp_path: Path
) -> Iterator[Callable[..., Machine]]:
    """Makes machines, by name and layers over the fresh root."""
    machines: list[Machine] = []
    request.node.stash[MACHINES] = machines
    folder = Path(tempfile.mkdtemp(dir=scratch))

    def make(name: str, *layers: Path, disks: Sequence[str] = ()) -> Machine:
        machines.append(Machine(name, [*layers, FRESH], folder, {"/package": package.parent}, disks))
        return machines[-1]

    yield make
    for machine in machines:
        machine.remove()


@pytest.fixture
def fresh(make_machine: Callable[..., Machine]) -> Machine:
    """A machine that never saw netd; it is up."""
    machine = make_machine("fresh")
    machine.start()
    return machine


@pytest.fixture
def machine(make_machine: Callable[..., Machine], installed: Path) -> Machine:
    """A machine with netd's package; it is up, and netd runs."""
    machine = make_machine("machine", installed)
    machine.start()
    return machine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Puts the end of each machine's journal beside a failure."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]
        for machine in item.stash.get(MACHINES, []):
            if machine.pid:
                said = machine.run("journalctl", "-b", "--no-pager", "-n", "80", check=None).text
                report.sections.append((f"the journal of {machine.name}", said))  # type: ignore[attr-defined]
    return report
