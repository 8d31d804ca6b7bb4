"""The files change while a pass is under way, in any of its turns: nothing of what netd owes to others is forgotten."""

from __future__ import annotations

import itertools

import pytest

from netd.engine import reconcile_pass
from netd.engine.scope import Scope
from netd.model.operations import DeleteLink
from tests.support.labs import FIRST, SECOND, declared
from tests.support.snapshot import differences
from tests.support.world import World, world


def edit_in_turn(each: World, turn: int, text: str) -> bool:
    """A pass over everything, and another edit after so many of its turns; False: it has fewer."""
    steps = each.engine.converge(None, Scope())
    if sum(1 for _ in itertools.islice(steps, turn)) < turn:
        return False
    each.text = text
    changed = each.engine.set_desired(declared(text))
    for _ in steps:
        pass
    for _ in each.engine.converge(changed, Scope()):
        pass
    return True


@pytest.mark.parametrize("stride", [7, 1])
@pytest.mark.parametrize("lost", [True, False])
def test_what_an_object_displaced_comes_back_when_an_edit_removes_it_in_the_middle_of_a_pass(
    monkeypatch: pytest.MonkeyPatch, lost: bool, stride: int
) -> None:
    monkeypatch.setattr(reconcile_pass, "PORTION", -1.0)
    monkeypatch.setattr(reconcile_pass, "SLICE", 1)
    for turn in itertools.count(1, stride):
        with world() as each:
            each.take(FIRST)
            each.settle()
            if lost:
                # Its route goes with it, and is pending from now on.
                assert each.someone_does(DeleteLink("", each.index("", "br0"))) == 0
                each.engine.invalidate(each.engine.events())
            went_on = edit_in_turn(each, turn, SECOND)
            each.settle()
            each.down()
            assert not differences(each.look(), each.foreign), f"after turn {turn}"
            if not went_on:
                break
