"""Someone makes a link of netd's name in the very moment in which netd makes it again."""

from __future__ import annotations

import errno

import pytest

from netd.errors import KernelError, kernel_error
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
