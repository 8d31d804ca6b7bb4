"""Whatever is thrown over one object, one reading or one namespace stays there: all others are built, and heal.

And it is reported: what netd failed over is never ready, converged, or an empty list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from netd.model.operations import Operation
from tests.property.test_every_failure import PLANS, begun, undisturbed
from tests.support import tally
from tests.support.host import Host
from tests.support.snapshot import differences
from tests.support.world import world

#: What reading and parsing can throw.
ERRORS: Sequence[Exception] = (
    ValueError("thrown"), KeyError("thrown"), TypeError("thrown"), IndexError("thrown"), AttributeError("thrown"),
    RecursionError("thrown"), OSError(5, "thrown"), OSError(24, "thrown"), MemoryError(), RuntimeError("thrown"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "thrown"), OverflowError("thrown"), AssertionError("thrown"),
    ZeroDivisionError("thrown"), StopIteration("thrown"), NotImplementedError("thrown"), EOFError("thrown"),
)  # fmt: skip
STRIDE = 5


def thrown_once(plan: str, place: int, error: Exception) -> tuple[list[str], int]:
    """What is wrong after the reading at that place threw once; and how many there were."""
    with world() as each:
        begun(each, plan)
        count = 0

        def reading(what: str) -> Any:
            nonlocal count
            count += 1
            if count == place + 1:
                raise error
            return None

        each.hand.reading = reading
        each.take(PLANS[plan][-1])
        each.settle()
        found = [str(each.states())] if each.states() else []
        return found + each.differing() + differences(each.look(), undisturbed(plan)[0]), count


@pytest.mark.parametrize("plan", PLANS)
def test_what_a_reading_throws_once_changes_nothing_in_the_end(plan: str) -> None:
    wrong: list[str] = []
    place, count = PLANS_OFFSET[plan], 1
    while place < count:
        error = ERRORS[place % len(ERRORS)]
        tally.count("readings that threw")
        found, count = thrown_once(plan, place, error)
        wrong += [f"{place}. reading, {error!r}: {line}" for line in found]
        place += STRIDE
    assert not wrong, "\n".join(wrong)


PLANS_OFFSET = {plan: number % STRIDE for number, plan in enumerate(PLANS)}


@pytest.mark.parametrize("plan", PLANS)
def test_what_an_operation_throws_once_changes_nothing_in_the_end(plan: str) -> None:
    end, sent = undisturbed(plan)
    wrong: list[str] = []
    for place in range(PLANS_OFFSET[plan], len(sent), STRIDE):
        error = ERRORS[place % len(ERRORS)]
        with world() as each:
            begun(each, plan)
            count = 0

            def before(operation: Operation, at: int = place, error: Exception = error) -> None:
                nonlocal count
                count += 1
                if count == at + 1:
                    raise error

            tally.count("operations that threw")
            each.hand.before = before
            each.take(PLANS[plan][-1])
            each.settle()
            found = [str(each.states())] if each.states() else []
            found += each.differing() + differences(each.look(), end)
            wrong += [f"{place}. {sent[place]}, {error!r}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)


LAB = """
[bridge.br0]
addresses = ["10.9.0.1/24"]

[[route]]
to = "10.99.0.0/16"
via = "10.9.0.2"

[namespace.good.veth.eth0]
addresses = ["10.9.0.2/24"]
gateway = "10.9.0.1"
peer = { name = "to-good", master = "br0" }

[namespace.bad.veth.eth0]
addresses = ["10.9.0.3/24"]
gateway = "10.9.0.1"
peer = { name = "to-bad", master = "br0" }

[namespace.bad.sysctl]
net.ipv4.ip_forward = 1

[[namespace.bad.neighbor]]
address = "10.9.0.9"
mac = "02:00:00:00:00:09"
dev = "eth0"

[[namespace.bad.rule]]
priority = 100
from = "10.9.0.3"
table = 100

[[namespace.bad.nat.masquerade]]
source = "10.77.0.0/16"
out = "eth0"
"""
SESSION, KERNEL = "netd.kernel.session:Session", "netd.kernel.kernel:Kernel"
#: What throws of namespace bad, for ever.
THROWN = (
    f"{SESSION}.links:ValueError", f"{SESSION}.link:KeyError", f"{SESSION}.addresses:RecursionError",
    f"{SESSION}.routes_to:UnicodeError", f"{SESSION}.connected:TypeError", f"{SESSION}.rules:IndexError",
    f"{SESSION}.neighbors:AttributeError", f"{SESSION}.sysctl:MemoryError", f"{SESSION}.nsid:OverflowError",
    f"{KERNEL}.firewall:AssertionError", f"{KERNEL}.cookie:OSError", f"{KERNEL}.watch:RuntimeError",
    f"{KERNEL}.open:ValueError",
)  # fmt: skip
#: Readings of one thing that another reading, of all, makes up for.
MADE_UP_FOR = ("Session.link", "Session.nsid")


@pytest.mark.parametrize("thrown", THROWN, ids=[each.split(":")[1] + ":" + each.split(":")[2] for each in THROWN])
def test_what_is_thrown_over_one_namespace_stays_there_and_is_reported(host: Host, thrown: str) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon(module="tests.support.throwing", env={"NETD_THROW": f"{thrown}:bad:-"})
    host.ping("10.9.0.2")
    host.ping("10.9.0.1", ns="good")
    host.run("ip", "addr", "del", "10.9.0.1/24", "dev", "br0")
    host.run("ip", "link", "set", "to-good", "nomaster")
    host.ping("10.9.0.2")
    host.until(lambda: host.routes("10.99.0.0/16"), "the route is there")
    status = host.status()
    wrong = {each["object"]: each["reason"] for each in status["objects"] if each["state"] not in ("ok", "pending")}
    assert all("bad" in name for name in wrong), wrong
    if thrown.split(":")[1] not in MADE_UP_FOR:
        assert status["state"] == "degraded", status
        assert wrong and any("thrown by the test" in reason for reason in wrong.values()), wrong
        assert host.netd("wait", "--timeout", "0.1", check=None).returncode == 1
    assert daemon.popen.poll() is None


#: What is no reading of one namespace: nobody is to blame.
ANYWHERE = (
    "netd.kernel.kernel:Kernel.drain:ValueError", "netd.kernel.events:Events.drain:KeyError",
    "netd.engine.reconciler:Reconciler.invalidate:RecursionError",
    "netd.engine.reconciler:Reconciler.set_desired:ValueError",
    "netd.engine.ledger:Ledger.flush:TypeError", "netd.engine.graph.dependencies:DependencyGraph.in_order:IndexError",
    "netd.engine.apply.plan:Plan.stages:ValueError", "netd.engine.apply.executor:Executor.batches:MemoryError",
    "netd.engine.reconciler:Reconciler.find_orphans:ValueError",
)  # fmt: skip


@pytest.mark.parametrize("thrown", ANYWHERE, ids=[each.split(":")[1] for each in ANYWHERE])
def test_what_throws_a_few_times_anywhere_delays_the_network_and_no_more(host: Host, thrown: str) -> None:
    host.write("lab.toml", LAB)
    host.daemon(module="tests.support.throwing", env={"NETD_THROW": f"{thrown}:*:3"})
    host.converged()
    host.ping("10.9.0.2", "10.9.0.3")
    host.run("ip", "addr", "del", "10.9.0.1/24", "dev", "br0")
    host.ping("10.9.0.2", "10.9.0.3")


@pytest.mark.parametrize(
    "thrown",
    ["netd.engine.graph.dependencies:DependencyGraph.in_order:IndexError", "netd.engine.ledger:Ledger.flush:TypeError"],
)
def test_a_pass_that_always_throws_is_never_ready_nor_converged_nor_an_empty_list(host: Host, thrown: str) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon(module="tests.support.throwing", env={"NETD_THROW": f"{thrown}:*:-"}, wait=False)

    def told() -> bool:
        status = host.status()
        assert status["state"] != "converged"
        return status["state"] == "degraded" and len(status["objects"]) >= 10

    host.until(told, "it says that it is degraded, and of what")
    assert host.netd("wait", "--timeout", "0.5", check=None).returncode == 1
    assert host.netd("status", check=2).text.startswith("degraded")
    assert "converged" not in host.netd("status", "--json", check=2).text
    assert daemon.popen.poll() is None
