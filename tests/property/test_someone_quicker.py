"""Someone makes a link of netd's name in the very moment in which netd makes it again."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from netd.engine import reconcile_pass
from netd.engine.scope import Scope
from netd.errors import KernelError, kernel_error
from netd.model.key import parse_key
from netd.model.operations import CreateLink, DeleteLink, LinkSettings, Operation
from tests.support.world import World, world

LAB = """
[namespace.a]
[veth.v0]
peer = { name = "eth0", namespace = "a" }
[vxlan.vx0]
vni = 24
dev = "v0"
[bridge.br0]
"""


def take_away(each: World, name: str) -> None:
    space = each.machine.space("")
    index = next(index for index, link in space.links.items() if link.name == name)
    assert each.someone_does(DeleteLink("", index)) == 0


@pytest.mark.parametrize("name", ["v0", "vx0", "br0"])
def test_netd_puts_its_own_back_although_someone_was_quicker_with_a_wrong_one(name: str) -> None:
    with world() as each:
        each.take(LAB)
        each.settle()
        end = each.look()
        quick = True

        def before(operation: Operation) -> KernelError | None:
            nonlocal quick
            if quick and isinstance(operation, CreateLink) and operation.name == name:
                quick = False
                wrong = CreateLink("", name, "veth", LinkSettings(), "", "lost", "", LinkSettings())
                assert each.someone_does(wrong) == 0
                return kernel_error(errno.EEXIST, "File exists")
            return None

        each.hand.before = before
        take_away(each, name)
        each.settle()
        assert not quick
        assert not each.states()
        assert each.look().keys() == end.keys()


OURS, CHANGED = (f'[vxlan.vx1]\nvni = {vni}\nlocal = "10.230.4.1"\nmac = "02:00:00:00:00:11"\n' for vni in (24, 25))


def test_a_refusal_puts_back_no_record_from_before_an_earlier_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was to be recreated, and was not; then it is foreign, and adopted; then its creation is refused."""
    monkeypatch.setattr(reconcile_pass, "PORTION", -1.0)
    key, refused, states = parse_key("vxlan/vx1"), False, set[str]()

    def note(operation: Operation) -> KernelError | None:
        if isinstance(operation, DeleteLink):
            return kernel_error(errno.EBUSY, "busy")
        return None

    def be_quicker(operation: Operation) -> KernelError | None:
        nonlocal refused
        if refused or not isinstance(operation, CreateLink):
            return None
        refused = True
        assert each.someone_does(replace(operation, settings=replace(operation.settings, group=0))) == 0
        return kernel_error(errno.EEXIST, "File exists")

    with world() as each:
        each.take(OURS)
        each.settle()
        each.hand.before = note
        each.take(CHANGED)
        each.hand.before = be_quicker
        take_away(each, "vx1")
        each.settle()
        record = each.engine.ledger.get(key)
        assert refused and record is not None and record.state == "adopted"
        refused = False
        take_away(each, "vx1")
        for _ in each.engine.converge(each.engine.invalidate(each.engine.events()), Scope(), drift=True):
            record = each.engine.ledger.get(key)
            states.add(record.state if record is not None and refused else "")
        assert refused and "made" not in states
