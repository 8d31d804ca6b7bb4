"""What every test can ask for: pretend hosts, and what their daemons logged beside each failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import tally
from tests.support.host import Host
from tests.support.stage import Stage

pytest_plugins = ["tests.support.tiers", "tests.support.kernel_needs"]
pytest.register_assert_rewrite("tests.scenarios.drift", "tests.scenarios.watch")

HOSTS = pytest.StashKey[list[Host]]()
FAILED = pytest.StashKey[bool]()


def need_root() -> None:
    """Network namespaces need root: without it a test is skipped, in continuous integration it fails."""
    if os.geteuid() == 0:
        return
    reason = "needs root, to make network namespaces"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def make_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Host]]:
    """Makes pretend hosts, by name."""
    need_root()
    hosts: list[Host] = []
    request.node.stash[HOSTS] = hosts

    # make test-hardened: on machines with systemd, where the daemons run in the sandbox of netd's unit.
    hardened = request.config.pluginmanager.hasplugin("tests.rig.units")
    begin = request.getfixturevalue("unit_host") if hardened else Host

    def make(name: str) -> Host:
        hosts.append(begin(name, tmp_path))
        return hosts[-1]

    yield make
    for host in hosts:
        host.end()


@pytest.fixture
def host(make_host: Callable[[str], Host]) -> Host:
    """One pretend host."""
    return make_host("host")


class Stages:
    """The stage of this worker: kept from case to case, made anew after a failure or for another preparation."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.stage: Stage | None = None
        self.count = 0

    def get(self, before: str) -> Stage:
        """A stage that was so prepared."""
        if self.stage is not None and self.stage.before != before:
            self.end()
        if self.stage is None:
            self.count += 1
            self.stage = Stage(Host(f"stage{self.count}", self.logs), before)
        return self.stage

    def end(self) -> None:
        """Ends the one that stands."""
        if self.stage is not None:
            stage, self.stage = self.stage, None
            stage.end()


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """The stage that cases of drift share."""
    found = Stages(tmp_path_factory.mktemp("stage"))
    yield found
    found.end()


@pytest.fixture
def stage(request: pytest.FixtureRequest, stages: Stages) -> Iterator[Stage]:
    """A stage for one case; ``before`` of its parameter ``case`` says how it is prepared."""
    need_root()
    found = stages.get(request.node.callspec.params["case"].before)
    request.node.stash[HOSTS] = [found.host]
    yield found
    if found.worn or request.node.stash.get(FAILED, False):
        stages.end()


@pytest.fixture
def pair(make_host: Callable[[str], Host]) -> tuple[Host, Host]:
    """Two pretend hosts, eth0 of each on one cable: 10.230.4.1 and .2, fd04::1 and ::2."""
    first, second = make_host("a"), make_host("b")
    first.cable(second)
    first.address("eth0", "10.230.4.1/24", "fd04::1/64")
    second.address("eth0", "10.230.4.2/24", "fd04::2/64")
    return first, second


@pytest.fixture
def trio(make_host: Callable[[str], Host]) -> tuple[Host, Host, Host]:
    """Three pretend hosts on one switch: 10.230.4.1 to .3, fd04::1 to ::3 on eth0 of each."""
    switch, first, second, third = map(make_host, ("switch", "a", "b", "c"))
    switch.run("ip", "link", "add", "lan", "up", "type", "bridge", "mcast_snooping", "0")
    for number, each in enumerate((first, second, third), 1):
        switch.cable(each, f"port{number}", "eth0")
        switch.run("ip", "link", "set", f"port{number}", "master", "lan")
        each.address("eth0", f"10.230.4.{number}/24", f"fd04::{number}/64")
    return first, second, third


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Puts the logs of all pretend hosts beside a failure."""
    report = yield
    report.user_properties += tally.taken()  # type: ignore[attr-defined]
    if report.failed:  # type: ignore[attr-defined]
        item.stash[FAILED] = True
        for host in item.stash.get(HOSTS, []):
            report.sections.append((f"what ran on {host.name}", host.story()))  # type: ignore[attr-defined]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was tried where one test tries many things."""
    reports = (each for found in terminalreporter.stats.values() for each in found)
    told = tally.told(one for each in reports for one in getattr(each, "user_properties", ()))
    if told:
        terminalreporter.write_line(f"tried: {told}")
