"""Each operation that netd can send, refused with each error, once and always: the end is the same."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from netd.engine.apply.executor import UNFIT
from netd.errors import KernelError, kernel_error
from netd.model import operations as do
from netd.model.operations import Operation
from tests.fakekernel.batch import HANDLERS
from tests.support import tally
from tests.support.labs import ATTACHED, ELSEWHERE, FIRST, OTHER_TUNNEL, OWN, SECOND, TUNNEL
from tests.support.operations import NAMESPACE_OPERATIONS
from tests.support.snapshot import differences
from tests.support.troubled import UNREADABLE
from tests.support.world import World, world

ERRORS = (
    errno.EPERM, errno.EBUSY, errno.EEXIST, errno.ENOENT, errno.ENODEV, errno.ENOBUFS, errno.EINVAL, errno.ENOMEM,
    errno.ETIMEDOUT,
)  # fmt: skip
#: Every how many-th operation of a plan is refused here; 1 refuses each.
STRIDE = int(os.environ.get("NETD_FAILURE_STRIDE", "4"))


def somebody_uses(each: World) -> None:
    """What others put on the link of TUNNEL; their bridge outlives it."""
    assert each.someone_does(do.CreateLink("", "outer", "bridge", do.LinkSettings())) == 0
    for part in ("links", "vlans"):
        each.foreign[""][part] |= {"outer": each.look()[""][part]["outer"]}
    for operation in (
        do.RestorePort("", "vx9", "outer", {33: b"\1"}),
        do.PutAddress("", "vx9", "10.91.0.1/24", protocol=0),
        do.PutAddress("", "vx9", "fd91::1/64", nodad=True, protocol=0),
        do.PutNeighbor("", "vx9", "10.90.0.9", "02:00:00:00:00:09"),
        do.CreateRoute("", 2, 100, "10.92.0.0/16", 0, hops=(do.Hop("10.90.0.9"),), protocol=3),
    ):
        assert each.someone_does(operation) == 0, operation


#: {name: the texts of the file, one after the other, and what others do}: what is refused is of the last one.
IMPAIRED = """
[bridge.br0]
[namespace.a.veth.eth0]
peer = { name = "port-a", master = "br0" }
netem = { delay = "20ms" }
"""
SEPARATED = """
[bridge.br0]
vlan_filtering = true
vlans = { tagged = [20] }
[vxlan.vx0]
external = true
vnifilter = true
port = 4790
master = "br0"
vlans = { tagged = [10] }
vlan_vni = [{ vlan = 10, vni = 10 }]
"""
NAMED = """
[namespace.a]
hosts = true
dns = ["10.9.9.9"]
"""
GUARDED = """
[wireguard.wg0]
private_key_file = "/run/netd-test.key"
listen_port = 5000
"""
PLANS: Mapping[str, Sequence[Any]] = {
    "create": ["", FIRST],
    "change": [FIRST, SECOND],
    "change back": [SECOND, FIRST],
    "prune": [FIRST, ""],
    "attach": ["", ATTACHED],
    "detach": [ATTACHED, ""],
    "attach elsewhere": [ATTACHED, ELSEWHERE],
    "make its own": [ATTACHED, OWN],
    "make it anothers": [OWN, ATTACHED],
    "let go": [ATTACHED, "[namespace.box.bridge.br0]\n"],
    "make again what others use": [TUNNEL, somebody_uses, OTHER_TUNNEL],
    "impair": [IMPAIRED, IMPAIRED.replace("20ms", "30ms")],
    "vlans": [SEPARATED, SEPARATED.replace("[20]", "[21]").replace("vni = 10", "vni = 11")],
    "no vlans": [SEPARATED, ""],
    "files": [NAMED, NAMED.replace("10.9.9.9", "10.9.9.8")],
    "no files": [NAMED, "[namespace.a]\n"],
    "wireguard": [GUARDED, GUARDED.replace("5000", "5001")],
    "end an impairment": [IMPAIRED, IMPAIRED.replace("netem", "# netem")],
    "trim": [FIRST, FIRST.replace(', "10.230.4.3"]', "]").replace("10.1.0.7", "10.1.0.8")],
}


def begun(each: World, plan: str) -> None:
    for step in PLANS[plan][:-1]:
        if callable(step):
            step(each)
        else:
            each.take(step)
        each.settle()


def excused(kind: type, code: int) -> bool:
    """A route of others that the kernel says does not fit any more is not tried again."""
    return issubclass(kind, do.Restoration) and code in UNFIT


def undisturbed(plan: str) -> tuple[object, list[Operation]]:
    """The end of a plan, and what it sends."""
    sent: list[Operation] = []
    with world() as each:
        begun(each, plan)
        each.hand.before = sent.append
        each.take(PLANS[plan][-1])
        each.settle()
        assert not each.states() and not each.differing()
        return each.look(), sent


@pytest.mark.parametrize("code", ERRORS, ids=[errno.errorcode[code] for code in ERRORS])
@pytest.mark.parametrize("plan", PLANS)
def test_an_operation_that_is_refused_once_changes_nothing_in_the_end(plan: str, code: int) -> None:
    end, sent = undisturbed(plan)
    wrong: list[str] = []
    for place in range(ERRORS.index(code) % STRIDE, len(sent), STRIDE):
        with world() as each:
            begun(each, plan)
            count = 0

            def before(operation: Operation, at: int = place) -> KernelError | None:
                nonlocal count
                count += 1
                return kernel_error(code, "refused") if count == at + 1 else None

            tally.count("operations refused once")
            each.hand.before = before
            each.take(PLANS[plan][-1])
            each.settle()
            found = [str(each.states())] if each.states() else []
            found += each.differing() + differences(each.look(), end)
            if not excused(type(sent[place]), code):
                wrong += [f"{place}. {sent[place]}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("plan", PLANS)
def test_what_cannot_be_read_once_is_unknown_and_not_absent(plan: str) -> None:
    end, _ = undisturbed(plan)
    wrong: list[str] = []
    place, count = 0, 1
    while place < count:
        with world() as each:
            begun(each, plan)
            count = 0
            code = UNREADABLE[place % len(UNREADABLE)]

            def reading(what: str, at: int = place, code: int = code) -> KernelError | None:
                nonlocal count
                count += 1
                return kernel_error(code, what) if count == at + 1 else None

            tally.count("readings refused once")
            each.hand.reading = reading
            each.take(PLANS[plan][-1])
            each.settle()
            found = [str(each.states())] if each.states() else []
            found += each.differing() + differences(each.look(), end)
            each.down()
            # What could not be read then was told of, and is left to the next time.
            each.down()
            found += differences(each.look(), each.foreign)
            wrong += [f"{place}. reading: {line}" for line in found]
        place += STRIDE
    assert count > 1
    assert not wrong, "\n".join(wrong)


#: No rule of others ever gives way, so none is put back.
ALL = {*HANDLERS, *NAMESPACE_OPERATIONS} - {do.RestoreRule}


def refusing(kind: type, code: int, tried: list[Operation]) -> Callable[[Operation], KernelError | None]:
    """Each operation of a kind is refused, and noted."""

    def before(operation: Operation) -> KernelError | None:
        if type(operation) is not kind:
            return None
        tried.append(operation)
        return kernel_error(code, "refused")

    return before


@pytest.mark.parametrize("code", ERRORS, ids=[errno.errorcode[code] for code in ERRORS])
def test_what_is_always_refused_costs_little_and_is_made_up_for_when_it_is_refused_no_longer(code: int) -> None:
    wrong: list[str] = []
    used: Counter[str] = Counter()
    for plan in PLANS:
        end, sent = undisturbed(plan)
        for kind in {type(operation) for operation in sent}:
            used[kind.__name__] += 1
            with world() as each:
                begun(each, plan)
                tried: list[Operation] = []

                tally.count("kinds of operation always refused")
                each.hand.before = refusing(kind, code, tried)
                each.take(PLANS[plan][-1])
                each.settle(60)
                most = Counter(map(str, tried)).most_common(1)
                if most and most[0][1] > 100:
                    wrong.append(f"{plan}: {most[0][1]} times in a minute: {most[0][0]}")
                each.hand.before = lambda operation: None
                each.settle(400)
                found = [str(each.states())] if each.states() else []
                found += each.differing() + differences(each.look(), end)
                if not excused(kind, code):
                    wrong += [f"{plan}: {kind.__name__}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)
    assert used.keys() == {kind.__name__ for kind in ALL}
