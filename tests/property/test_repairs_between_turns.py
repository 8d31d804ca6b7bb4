"""Something else breaks in any turn of a long pass, and is repaired there: nothing that is said of it is outdated."""

from __future__ import annotations

import itertools

import pytest

from netd.engine import reconcile_pass
from netd.engine.scope import Scope
from netd.model.change import ChangeResult
from netd.model.key import Key, namespace_key, parse_key
from netd.model.operations import DeleteAddress
from netd.model.status import State, Status
from tests.support.labs import declared
from tests.support.world import World, world

BEFORE = """
[veth.veth0]
addresses = ["10.9.0.1/24"]
peer = { name = "veth1" }
"""
AFTER = (
    BEFORE
    + """
[bridge.br0]
addresses = ["10.8.0.1/24"]
[namespace.a.veth.eth0]
addresses = ["10.8.0.2/24"]
gateway = "10.8.0.1"
peer = { name = "to-a", master = "br0" }
[namespace.a.sysctl]
net.ipv4.ip_forward = 1
"""
)
ADDRESS = parse_key("address/veth0/10.9.0.1/24")


class Said:
    """What was reported of the address, in order."""

    def __init__(self, each: World) -> None:
        self.lines: list[str] = []
        each.engine.callbacks.done = self._done
        each.engine.callbacks.state = self._state

    def _done(self, result: ChangeResult) -> None:
        if result.change.key == ADDRESS:
            self.lines.append(f"{result.change.action}, repair {result.drift}, error {result.error!r}")

    def _state(self, status: Status, before: State | None) -> None:
        if status.key == ADDRESS:
            self.lines.append(f"{before} to {status.state}")


def break_and_repair(each: World, involved: set[Key]) -> None:
    """As ``netd.daemon.passes`` does between two portions."""
    assert each.someone_does(DeleteAddress("", "veth0", "10.9.0.1/24", each.index("", "veth0"))) == 0
    heard = each.engine.invalidate(each.engine.events())
    independent = {key for key in heard if {key, namespace_key(key.netns)}.isdisjoint(involved)}
    assert ADDRESS in independent
    for _ in each.engine.converge(independent, Scope(), drift=True):
        pass


def test_a_repair_in_any_turn_of_a_build_is_reported_once_and_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconcile_pass, "PORTION", -1.0)
    monkeypatch.setattr(reconcile_pass, "SLICE", 1)
    for turn in itertools.count(1):
        with world() as each:
            each.take(BEFORE)
            each.settle()
            said, involved = Said(each), set[Key]()
            each.text = AFTER
            each.engine.set_desired(declared(AFTER))
            steps = each.engine.converge(None, Scope(), involved=involved)
            if sum(1 for _ in itertools.islice(steps, turn)) < turn:
                assert turn > 20
                break
            break_and_repair(each, involved)
            for _ in steps:
                pass
            each.settle()
            assert not each.states() and not each.differing(), turn
            assert said.lines == ["create, repair True, error ''"], f"turn {turn}"
