"""What ``netd import`` writes is what is there: it changes nothing here, and builds the same network elsewhere."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest

from netd.engine.ledger import Ledger
from netd.engine.reconciler import Reconciler
from netd.engine.scope import Scope
from netd.kinds.link.link_kind import LinkKind
from netd.model.state import Route
from netd.topology.importing.facts import Facts
from netd.topology.importing.importer import imported
from netd.topology.topology import Topology
from tests.fakekernel import FakeKernel, fake_machine
from tests.fakekernel.machine import FakeMachine
from tests.support import labs
from tests.support.link_tables import CARRIER, OTHER_CARRIER, cases, link_kinds
from tests.support.networks import Network
from tests.support.snapshot import differences, snapshot
from tests.support.world import Clock

#: Of the second tier.
NETWORKS = 500
FEW = 12


class FakeFacts:
    """What ``KernelFacts`` reads, of the fake kernel."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def routes(self, netns: str) -> Sequence[Route]:
        with self._kernel.open(netns) as session:
            return session.all_routes()

    def sysctls(self, netns: str) -> Mapping[str, str]:
        return dict(self._kernel.machine.space(netns).sysctls)

    def fresh_sysctls(self) -> Mapping[str, str]:
        return dict(fake_machine().space("").sysctls)


def written(kernel: FakeKernel, engine: Reconciler) -> str:
    """What ``netd import`` prints."""
    with engine.mirror.reading():
        topology = Topology(engine.mirror, kernel.names())
        facts = Facts(topology, FakeFacts(kernel), records=dict(engine.ledger.items()))
        return "\n".join(imported(facts, topology.namespaces))


@contextlib.contextmanager
def built(text: str) -> Iterator[tuple[FakeKernel, Reconciler]]:
    """A bare machine with nothing but this network."""
    with tempfile.TemporaryDirectory() as folder:
        kernel, engine = started(fake_machine(), f"{folder}/ledger")
        engine.set_desired(labs.declared(text))
        converge(engine)
        yield kernel, engine


def started(machine: FakeMachine, ledger: str) -> tuple[FakeKernel, Reconciler]:
    """A process of netd."""
    kernel = FakeKernel(machine)
    return kernel, Reconciler(cast(Any, kernel), Ledger(ledger), clock=Clock())


def converge(engine: Reconciler) -> None:
    """Until nothing is left to do at once."""
    for _ in range(3):
        for _ in engine.converge():
            pass
        engine.invalidate_all()


def must_survive(text: str) -> None:
    """The network, imported: it is in sync with what it was taken from, and a bare machine gets the same."""
    with built(text) as (kernel, engine):
        file = written(kernel, engine)
        was = snapshot(kernel)
        engine.set_desired(labs.declared(file))
        changes, _ = engine.compare(Scope())
        assert [(one.action, str(one.key), dict(one.fields)) for one in changes] == [], f"{text}\n=>\n{file}"
        converge(engine)
        assert differences(was, snapshot(kernel)) == [], f"{text}\n=>\n{file}"
    with built(file) as (elsewhere, _):
        assert differences(was, snapshot(elsewhere)) == [], f"{text}\n=>\n{file}"


@pytest.mark.parametrize("seeds", [range(FEW), *(range(at, at + 50) for at in range(FEW, NETWORKS + FEW, 50))], ids=str)
def test_a_random_network_is_imported_as_it_is(seeds: range) -> None:
    for seed in seeds:
        must_survive(Network(seed).text)


#: What the tables of ``link_tables`` are carried by.
CARRIERS = f'[veth.{CARRIER}]\npeer = {{ name = "{OTHER_CARRIER}" }}\n'


@pytest.mark.parametrize("kind", link_kinds(), ids=lambda kind: kind.name)
def test_every_option_of_every_kind_of_link_is_imported_as_it_is(kind: LinkKind) -> None:
    for case in cases(kind):
        must_survive(CARRIERS + case.text)
