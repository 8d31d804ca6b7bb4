"""netd on the fake kernel, driven as the daemon drives it, on a clock of its own: minutes pass in no time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from netd.engine.reconciler import Reconciler
from netd.engine.scope import Scope
from netd.errors import KernelError
from netd.model import operations as do
from netd.model.key import Key
from netd.model.operations import CreateLink, LinkSettings, Operation, PutAddress, SetLink
from netd.model.state import PolicyRule
from tests.fakekernel import FakeKernel, fake_machine
from tests.fakekernel.session import FakeSession
from tests.fakekernel.space import Chain
from tests.support.labs import BOX, CRATE, declared
from tests.support.snapshot import inside, snapshot
from tests.support.troubled import Hand, TroubledKernel, TroubledLedger


class Killed(BaseException):
    """The process ended here."""


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds


class World:
    """One machine with things of others on it, and the netd of now."""

    def __init__(self, folder: str, clock: Clock) -> None:
        self.clock = clock
        self.hand = Hand()
        self.machine = fake_machine()
        #: What the files say, and over which ones it is spread (``labs.spread``).
        self.text, self.spread = "", 0
        self.ledger = os.path.join(folder, "ledger")
        self.operations = 0
        self.start()
        self._others()
        self.foreign = self.look()

    def _others(self) -> None:
        """As ``labs.FOREIGN``."""
        for operation in (
            CreateLink("", "eth0", "veth", LinkSettings(), "", "cable", "", LinkSettings()),
            CreateLink("", "port9", "veth", LinkSettings(), "", "eth9", "", LinkSettings()),
            SetLink("", "eth0", LinkSettings(up=True)),
            SetLink("", "cable", LinkSettings(up=True)),
            PutAddress("", "eth0", "10.230.4.1/24", protocol=0),
            PutAddress("", "eth0", "fd30::1/64", nodad=True, protocol=0),
            do.CreateRoute("", 2, 254, "10.2.0.0/24", 0, mtu=1234, hops=(do.Hop("10.230.4.77"),), protocol=3),
            do.CreateRoute("", 2, 254, "10.6.0.0/24", 0, hops=(do.Hop("10.230.4.3"),), protocol=3),
            do.CreateRule("", PolicyRule(2, 500, 50, "10.99.0.0/16")),
            do.WriteSysctl("", "net/ipv4/conf/all/accept_redirects", "0"),
            do.WriteSysctl("", "net/ipv4/conf/eth0/forwarding", "1"),
        ):
            assert self.someone_does(operation) == 0, operation
        space = self.machine.space("")
        # What the fake kernel's operations mark is not marked here.
        space.rules = [replace(one, protocol=3) if one.priority == 500 else one for one in space.rules]
        space.firewall.chains += [Chain("ip", "filter", "FORWARD", legacy=legacy) for legacy in (False, True)]
        self.kernel.someone_opens(BOX)
        self.kernel.someone_opens(CRATE)
        self.kernel.someone_adds("theirs")
        assert self.someone_does(CreateLink("theirs", "br0", "bridge", LinkSettings())) == 0

    def plug_in_again(self) -> None:
        """A port that died with the namespace that it was in."""
        assert self.someone_does(CreateLink("", "port9", "veth", LinkSettings(), "", "eth9", "", LinkSettings())) == 0

    # netd

    def start(self) -> None:
        """A new process."""
        self.kernel = FakeKernel(self.machine)
        self.kernel.start_watching()
        troubled: Any = TroubledKernel(self.kernel, self.hand)  # type: ignore[arg-type]
        self.engine = Reconciler(troubled, TroubledLedger(self.ledger, self.hand), watch=True, clock=self.clock)
        self.pruned = True

    def stop(self) -> None:
        """The process ended, however."""
        self.kernel.close()
        self.engine.ledger.close()

    def restart(self) -> None:
        """The one before ended; the next one begins with all files and all that the kernel has."""
        self.stop()
        self.start()
        self.engine.set_desired(declared(self.text, self.spread))
        self._run(None)

    def take(self, text: str, seed: int = 0) -> None:
        """The files say this now."""
        self.text, self.spread = text, seed
        self._run(self.engine.set_desired(declared(text, seed)))

    def _run(self, keys: Collection[Key] | None, drift: bool = False) -> None:
        for _ in self.engine.converge(keys, Scope(), drift=drift):
            pass

    def hear(self) -> bool:
        """One wake-up; False: there is nothing to hear."""
        heard = self.hand.order(self.kernel.drain())
        if heard:
            self._run(self.engine.invalidate(heard), drift=True)
        return bool(heard)

    def settle(self, seconds: float = 400.0) -> None:
        """Until nothing is heard and nothing is due, or the time has passed."""
        end = self.clock.now + seconds
        while True:
            for _ in range(100):
                if not self.hear():
                    break
            else:
                raise AssertionError(f"it does not come to rest: {self.states()}")
            due = self.engine.backoff.next_due()
            if due is None or due > end:
                return
            self.clock.now = max(self.clock.now, due) + 0.005
            self._run(self.engine.due_again(), drift=True)

    def down(self) -> None:
        """``netd down``."""
        self.stop()
        self.start()
        for _ in self.engine.take_down(None):
            pass

    # The kernel, by other hands

    def index(self, netns: str, name: str) -> int:
        link = self.machine.space(netns).named(name)
        return link.index if link is not None else 0

    def someone_does(self, operation: Operation) -> int:
        """Carried out behind netd's back; 0, or the errno."""
        try:
            with self.kernel.open(operation.netns) as session:
                (answer,) = self.kernel.execute(session, [operation], self.index)
        except KernelError as error:
            return error.code
        return answer.code if isinstance(answer, KernelError) else 0

    # What there is

    def look(self) -> dict[str, Any]:
        """Also into the engine's namespace, under whichever name."""
        found = snapshot(self.kernel)
        for place in {BOX, CRATE} & self.machine.paths.keys():
            engines = self.machine.spaces[self.machine.paths[place]]
            found[place] = inside(FakeSession(self.machine, place, engines))
        return found

    def states(self) -> dict[str, str]:
        """All objects that are not ok."""
        return {str(row.key): f"{row.state} {row.reason}" for row in self.engine.statuses() if row.state != "ok"}

    def differing(self) -> list[str]:
        """What a second plan would do."""
        before = dict(self.states())
        changes, _ = self.engine.compare(Scope())
        return [f"{change.action} {change.key} {dict(change.fields)}" for change in changes] if not before else []


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A world with its own time."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        each = World(folder, clock)
        try:
            yield each
        finally:
            each.stop()
