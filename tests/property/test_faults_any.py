"""Faults on purpose, on the fake kernel: whatever happens meanwhile, the end is as if there had been none."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator

import pytest

from netd.engine.faults import Faults
from netd.model.fault import Fault
from netd.model.key import LinkName
from netd.model.operations import DeleteLink, LinkSettings, SetLink
from tests.property.test_convergence import FIRST
from tests.support.snapshot import differences
from tests.support.world import Clock, Killed, World


class FaultyWorld(World):
    """Its faults survive each netd, as their file does."""

    faults = Faults()

    def start(self) -> None:
        super().start()
        self.engine.faults = self.faults

    def changed(self) -> None:
        """A fault began, changed, or ended."""
        self._run(self.engine.faults_changed())


@contextlib.contextmanager
def world() -> Iterator[FaultyWorld]:
    FaultyWorld.faults = Faults()
    with tempfile.TemporaryDirectory() as folder:
        each = FaultyWorld(folder, Clock())
        try:
            yield each
        finally:
            each.stop()


FAULTS = [
    Fault(LinkName("a", "eth0"), "down", 0.0),
    Fault(LinkName("", "port-a"), "netem", 0.0, netem={"loss": "5%", "delay": "10ms"}),
    Fault(LinkName("", "br0"), "flap", 1000.0, down=5000.0, up=2.0),
    Fault(LinkName("", "eth0"), "down", 0.0),
    Fault(LinkName("", "vx0"), "netem", 0.0, netem={"rate": "1mbit"}),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.form}-{fault.link}")
def test_a_kill_at_any_step_of_a_fault_leads_to_the_same_end(fault: Fault) -> None:
    step, killed = 0, True
    while killed:
        step, killed = step + 1, False
        with world() as each:
            each.take(FIRST)
            each.settle()
            before = each.look()
            left = step

            def count(what: str) -> None:
                nonlocal left
                left -= 1
                if not left:
                    raise Killed

            each.hand.step = count
            for begins in (True, False):
                if begins:
                    each.faults.put(fault)
                else:
                    each.faults.drop([fault])
                try:
                    each.changed()
                except Killed:
                    killed = True
                    each.hand.step = lambda what: None
                    each.restart()
                each.settle()
                assert {state.split()[0] for state in each.states().values()} <= {"pending"}, step
                assert not each.differing(), step
            assert not each.states()
            # With a link that goes down the kernel deletes the routes of others, whoever sets it down.
            assert not differences(each.look(), before) or fault.link.name == "eth0", step
    assert step > 1


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.form}-{fault.link}")
def test_drift_beside_a_fault_is_repaired_and_the_fault_is_kept(fault: Fault) -> None:
    with world() as each:
        each.take(FIRST)
        each.settle()
        each.faults.put(fault)
        each.changed()
        each.settle()
        faulty = each.look()
        for operation in (
            SetLink(fault.link.netns, fault.link.name, LinkSettings(up=True)),
            SetLink("a", "eth0", LinkSettings(mtu=1300)),
            SetLink("", "port-a", LinkSettings(master="")),
            DeleteLink("a", each.index("a", "eth0")),
        ):
            each.someone_does(operation)
            each.settle()
            assert not differences(each.look(), faulty), operation
