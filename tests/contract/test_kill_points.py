"""SIGKILL after every single step of every plan, on the real kernel; then a start: the same end as without the kill."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netd.engine.reconciler import Reconciler
from netd.engine.scope import Scope
from netd.kernel.kernel import Kernel
from netd.kernel.netns.named import STALE_AGE
from netd.model.status import overall
from tests.support.forks import Killed, in_a_process, kill_yourself
from tests.support.kernel_sandbox import sandbox, sh
from tests.support.labs import (
    ATTACHED,
    BOX,
    CRATE,
    DRIFT,
    ELSEWHERE,
    ENGINE,
    FIREWALL,
    FIRST,
    FOREIGN,
    LEGACY,
    OTHER_TUNNEL,
    OWN,
    SECOND,
    TUNNEL,
    declared,
)
from tests.support.snapshot import differences, inside, snapshot
from tests.support.tally import count
from tests.support.troubled import Hand, TroubledKernel, TroubledLedger

#: Every how many-th step is tried here: ``make kills`` tries them all.
STRIDE = int(os.environ.get("NETD_KILL_STRIDE", "8"))
LEDGER = "/run/ledger.jsonl"


#: A port of somebody's bridge, and a lab that has it in another one.
OUTER = """
ip link add outer up type bridge; ip link add spare up type veth peer name spare1; ip link set spare master outer
"""
BORROWED = """
[bridge.mine]
mtu = 1400
addresses = ["10.9.0.1/24", "fd09::1/64"]

[interface.spare]
master = "mine"
mtu = 1400
addresses = ["10.9.1.1/24"]

[namespace.guest.veth.eth0]
addresses = ["10.9.0.2/24"]
peer = { name = "guest", master = "mine" }

[sysctl]
net.ipv4.ip_default_ttl = 70
net.ipv4.conf.spare.proxy_arp = 1
net.ipv4.conf.spare.rp_filter = 2

[[route]]
to = "10.16.0.0/24"
via = "10.9.0.2"

[[rule]]
priority = 900
from = "10.9.0.0/24"
"""


LENT = """
[namespace.guest.interface.spare]
from_host = true
mtu = 1400
up = true
addresses = ["10.9.1.1/24"]

[bridge.mine]
addresses = ["10.9.0.1/24"]

[namespace.guest.veth.eth0]
peer = { name = "guest", master = "mine" }

[sysctl]
net.ipv4.ip_default_ttl = 70

[[rule]]
priority = 900
from = "10.9.0.0/24"
"""
#: What somebody puts on the link of TUNNEL.
USED = """
ip link set vx9 master outer; bridge link set dev vx9 isolated on
ip addr add 10.91.0.1/24 dev vx9; ip addr add fd91::1/64 dev vx9 nodad
ip neigh add 10.90.0.9 lladdr 02:00:00:00:00:09 dev vx9
ip route add 10.92.0.0/16 via 10.90.0.9 table 100; ip -6 route add fd92::/64 via fd90::9 dev vx9
"""


class Plan(NamedTuple):
    """What stood before, what was done behind netd's back, what is wanted (None: ``netd down``).

    ``compacts``: each writing of the ledger writes it anew.
    """

    before: str
    harm: str
    wanted: str | None
    compacts: bool = False


PLANS = {
    "create": Plan("", "", FIRST),
    "change": Plan(FIRST, "", SECOND),
    "change back": Plan(SECOND, "", FIRST),
    "repair": Plan(FIRST, DRIFT, FIRST),
    "prune": Plan(SECOND, "", ""),
    "down": Plan(FIRST, "", None),
    "attach": Plan("", "", ATTACHED),
    "detach": Plan(ATTACHED, "", "[namespace.box.bridge.br0]\n"),
    "attach elsewhere": Plan(ATTACHED, "", ELSEWHERE),
    "make its own": Plan(ATTACHED, "", OWN),
    "make again what others use": Plan(TUNNEL, USED, OTHER_TUNNEL),
    "compact": Plan(FIRST, DRIFT, SECOND, compacts=True),
    "give a port back": Plan(BORROWED, "", ""),
    "lend a port": Plan("", "", LENT),
    "bring a port home": Plan(LENT, "", ""),
}


def converge(text: str | None, hand: Hand | None = None, *, compacts: bool = False) -> str:
    """One netd: makes the machine so, and says how things stand."""
    hand = hand or Hand()
    kernel = Kernel()
    step_inside(kernel, hand)
    ledger = TroubledLedger(LEDGER, hand, compacts=compacts)
    engine = Reconciler(TroubledKernel(kernel, hand), ledger)  # type: ignore[arg-type]
    if text is None:
        for _ in engine.take_down(None):
            pass
    else:
        engine.set_desired(declared(text))
        for _ in engine.converge():
            pass
    changes, rows = engine.compare(Scope())
    orphans = engine.find_orphans()
    told = [f"{row.key} {row.state} {row.reason}" for row in rows if row.state != "ok"]
    return f"{overall(rows)}, {len(changes)} differ, {sorted(orphans)} orphans, {told}"


def step_inside(kernel: Kernel, hand: Hand) -> None:
    """Naming a namespace takes several calls: each is a step of its own."""

    def stepping(owner: Any, call: str) -> None:
        real = getattr(owner, call)

        def called(*args: Any) -> None:
            real(*args)
            hand.step(call)

        setattr(owner, call, called)

    names = kernel._names
    for owner, call in ((names, "_claim"), (names.mounts, "bind"), (names.mounts, "unmount")):
        stepping(owner, call)


def look() -> dict[str, Any]:
    """Also into the namespaces of containers, under whichever name."""
    kernel = Kernel()
    found = snapshot(kernel)
    for name, place in (("container", BOX), ("another", CRATE)):
        kernel.attach(name, place)
        with kernel.open(name) as session:
            found[name] = inside(session)
    return found


@contextlib.contextmanager
def machine() -> Iterator[None]:
    """A machine of others' making."""
    with sandbox():
        sh(FOREIGN)
        sh(FIREWALL)
        sh(LEGACY)
        sh(ENGINE)
        sh(OUTER)
        yield


def prepare(before: str, harm: str) -> None:
    if before:
        in_a_process(lambda: converge(before))
    sh(harm)


def undo() -> dict[str, Any]:
    """Takes everything away; what is left."""
    in_a_process(lambda: converge(None))
    left: dict[str, Any] = in_a_process(look)
    Path(LEDGER).unlink(missing_ok=True)
    return left


def dies_after(step: int) -> Hand:
    """Killed after so many steps."""
    steps = 0

    def counted(what: str) -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            kill_yourself()

    return Hand(step=counted)


def undisturbed(plan: Plan) -> tuple[list[str], Any, str]:
    """The steps of the plan, its end, and what netd says of it."""
    seen: list[str] = []
    prepare(plan.before, plan.harm)
    hand = Hand(step=seen.append)
    seen, said = in_a_process(lambda: (seen, converge(plan.wanted, hand, compacts=plan.compacts)))
    return seen, in_a_process(look), said


# What someone else wrote last, and netd did not get to, is theirs: only plans without harm.
@pytest.mark.parametrize("plan", [name for name, plan in PLANS.items() if not plan.harm])
def test_a_kill_after_any_step_and_netd_down_leave_what_was_there_before(plan: str) -> None:
    before, _, wanted, compacts = PLANS[plan]
    wrong: list[str] = []
    with machine():
        foreign = in_a_process(look)
        steps, _, _ = undisturbed(PLANS[plan])
        undo()
        for step in range(2, len(steps) + 1, STRIDE):
            count("kills")
            prepare(before, "")
            with contextlib.suppress(Killed):
                in_a_process(partial(converge, wanted, dies_after(step), compacts=compacts))
            rest(steps[step - 1])
            found = differences(undo(), foreign, "left")
            wrong += [f"killed after step {step} of {len(steps)} ({steps[step - 1]}): {line}" for line in found]
    assert not wrong, "\n".join(wrong)


def rest(step: str) -> None:
    """What is left of a name might be another's, who is about to mount there: not for long."""
    if step in ("_claim", "unmount"):
        time.sleep(STALE_AGE + 0.1)


@pytest.mark.parametrize("plan", PLANS)
def test_a_kill_after_any_step_and_a_start_end_as_if_nothing_had_happened(plan: str) -> None:
    before, harm, wanted, compacts = PLANS[plan]
    wrong: list[str] = []
    late = 0
    with machine():
        foreign = in_a_process(look)
        steps, end, said = undisturbed(PLANS[plan])
        assert said.startswith("converged, 0 differ, [] orphans"), said
        assert differences(undo(), foreign) == []
        assert len(steps) > 10
        for step in range(1, len(steps) + 1, STRIDE):
            count("kills")
            prepare(before, harm)
            with contextlib.suppress(Killed):
                in_a_process(partial(converge, wanted, dies_after(step), compacts=compacts))
                late += 1
            rest(steps[step - 1])
            again = in_a_process(lambda: converge(wanted))
            found = [] if again == said else [again]
            found += differences(in_a_process(look), end) + differences(undo(), foreign, "left")
            wrong += [f"killed after step {step} of {len(steps)} ({steps[step - 1]}): {line}" for line in found]
    # How a plan ends hangs on when the kernel is done with a namespace: a ledger more or less.
    assert late <= 2
    assert not wrong, "\n".join(wrong)
