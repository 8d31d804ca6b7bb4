"""Whatever happens, in whatever order, netd comes to the same end: on the fake kernel, with Hypothesis.

The same stories in each ordinary run; ``NETD_EXAMPLES`` says how many new ones are told instead (``make stories``).
"""

from __future__ import annotations

import errno
import functools
import os
import random
import re
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from netd.errors import KernelError, kernel_error
from netd.kernel.fake.session import HANDLERS
from netd.model import operations as do
from netd.model.key import Key
from netd.model.operations import (
    DeleteAddress,
    DeleteNeighbor,
    LinkSettings,
    Operation,
    RunNft,
    SetLink,
    WriteSysctl,
)
from tests import labs
from tests.labs import declared
from tests.snapshot import differences
from tests.world import Killed, World, world

EXAMPLES = int(os.environ.get("NETD_EXAMPLES", "40"))
#: A link keeps its MAC, and its cost as a port (the default is not known).
KEPT = re.compile('mac = "02:00:00:00:00:0a"\n|, cost = 50')
#: Where nothing declares it, a link has what "default" said when it was born.
INBORN, DEFAULTS = "net/ipv4/conf/br0/rp_filter", (None, "0", "1")
FIRST, SECOND = (KEPT.sub("", lab) for lab in (labs.FIRST, labs.SECOND))
#: Texts of the file: two labs, and what is left of them without some of their tables.
TEXTS = (
    FIRST, SECOND, "", FIRST.partition("[vxlan.vx0]")[0], SECOND.partition("[[route]]")[0],
    FIRST.replace("mtu = 1400", "mtu = 1380").replace("isolated = true", "hairpin = true"),
    FIRST.replace("vni = 24", "vni = 77").replace('"fd01::1/64"', '"fd01::7/64"'),
    SECOND.replace("10.2.0.0/24", "10.12.0.0/24"),
    "[sysctl]\nnet.ipv4.ip_default_ttl = 77\n", "[namespace.a]\n[namespace.b.bridge.br0]\n",
)  # fmt: skip
ERRORS = (errno.EPERM, errno.EBUSY, errno.EEXIST, errno.ENOENT, errno.ENODEV, errno.ENOBUFS, errno.EINVAL, errno.ENOMEM)
LINKS = (("", "br0"), ("", "br1"), ("", "port-a"), ("", "port-b"), ("", "vx0"), ("a", "eth0"), ("b", "eth0"))
#: (object, its field that is harmed or "" for all of it, how): only what is declared is harmed. What netd does not keep
#: is others' business, and what was changed before netd came is what it finds.
HARM: tuple[tuple[Key, str, Operation], ...] = (
    (Key("", "bridge", "br0"), "mtu", SetLink("", "br0", LinkSettings(mtu=1290))),
    (Key("", "bridge", "br0"), "", SetLink("", "br0", LinkSettings(up=False))),
    (Key("a", "veth", "eth0"), "", SetLink("a", "eth0", LinkSettings(up=False))),
    (Key("a", "veth", "eth0"), "", SetLink("a", "eth0", LinkSettings(name="eth7"))),
    (Key("a", "veth", "eth0"), "", SetLink("", "port-a", LinkSettings(master=""))),
    (Key("a", "veth", "eth0"), "", SetLink("", "port-a", LinkSettings(name="port-z"))),
    (Key("a", "veth", "eth0"), "peer.bridge_port.isolated", SetLink("", "port-a", LinkSettings(port={33: b"\0"}))),
    (Key("", "vxlan", "vx0"), "", SetLink("", "vx0", LinkSettings(up=False))),
    (Key("", "vxlan", "vx0"), "master", SetLink("", "vx0", LinkSettings(master=""))),
    (Key("", "vxlan", "vx0"), "mtu", SetLink("", "vx0", LinkSettings(mtu=1290))),
    (Key("", "interface", "eth0"), "mtu", SetLink("", "eth0", LinkSettings(mtu=1470))),
    (Key("", "address", "br0/10.1.0.254/24"), "", DeleteAddress("", "br0", "10.1.0.254/24")),
    (Key("a", "address", "eth0/10.1.0.1/24"), "", DeleteAddress("a", "eth0", "10.1.0.1/24")),
    (Key("a", "address", "eth0/fd01::1/64"), "", DeleteAddress("a", "eth0", "fd01::1/64")),
    (Key("", "address", "eth0/10.231.0.1/24"), "", DeleteAddress("", "eth0", "10.231.0.1/24")),
    (Key("", "neighbor", "br0/10.1.0.7"), "", DeleteNeighbor("", "br0", "10.1.0.7")),
    (Key("", "neighbor", "eth0/10.230.4.9"), "", DeleteNeighbor("", "eth0", "10.230.4.9")),
    (Key("", "sysctl", "net.ipv4.ip_default_ttl"), "", WriteSysctl("", "net/ipv4/ip_default_ttl", "5")),
    (Key("", "sysctl", "net.ipv4.conf.eth0.proxy_arp"), "", WriteSysctl("", "net/ipv4/conf/eth0/proxy_arp", "0")),
    (Key("", "namespace", "a"), "ipv6", WriteSysctl("a", "net/ipv6/conf/all/disable_ipv6", "1")),
    (Key("", "nat", "masquerade/ip/10.1.0.0/24,eth0"), "", RunNft("", "delete table inet netd")),
    (Key("a", "nat", "snat/ip/10.1.0.1/32,*"), "", RunNft("a", "delete table inet netd")),
)


class Story(RuleBasedStateMachine):
    """One netd after the other on one machine."""

    @initialize()
    def begin(self) -> None:
        self._context = world()
        self.world: World = self._context.__enter__()
        self.doing: Callable[[], Any] = lambda: None

    def guarded(self, what: Callable[[], Any]) -> None:
        """What netd does may be its end: then another one starts."""
        try:
            what()
        except Killed:
            self.world.hand.step = lambda what: None
            self.world.restart()
        self.others_are_unharmed()

    def others_are_unharmed(self) -> None:
        now, before = self.world.look(), self.world.foreign
        assert now["theirs"] == before["theirs"]
        for link in ("cable", "port9"):
            assert now[""]["links"][link]["kind"] == "veth"
        assert ("eth0", "10.230.4.1/24", 0, False, "") in now[""]["addresses"]
        assert [one[1] for one in now[""]["rules"]].count(500) == 1
        assert [one for one in now[""]["routes"] if one[1] == "10.6.0.0/24"]

    # What an operator does

    @rule(text=st.sampled_from(TEXTS))
    def edit(self, text: str) -> None:
        self.guarded(lambda: self.world.take(text))

    @rule()
    def restart(self) -> None:
        self.guarded(self.world.restart)

    # What others do

    @rule(harm=st.sampled_from(HARM))
    def drift(self, harm: tuple[Key, str, Operation]) -> None:
        key, field, operation = harm
        wanted = declared(self.world.text).get(key) if self.world.text else None
        if wanted is None or (field and field not in wanted.fields):
            return
        if key.kind in ("interface", "sysctl"):
            # What others changed is theirs once the key is gone from the file: netd must have had its turn before.
            self.world.hand.before = lambda operation: None
            self.world.kernel.overrun()
            self.world.someone_does(operation)
            self.guarded(lambda: self.world.settle(400))
        else:
            self.world.someone_does(operation)

    @rule(link=st.sampled_from(LINKS))
    def delete_a_link(self, link: tuple[str, str]) -> None:
        netns, name = link
        if netns in self.world.machine.names:
            self.world.someone_does(do.DeleteLink(netns, self.world.index(netns, name)))

    @rule(netns=st.sampled_from("abc"))
    def delete_a_namespace(self, netns: str) -> None:
        # A port that was moved in dies with it, as a virtual one does: it is plugged in again.
        if netns in self.world.machine.names:
            self.world.kernel.someone_deletes(netns)
            if not self.world.index("", "port9"):
                self.world.plug_in_again()

    @rule(route=st.integers(0, 30), netns=st.sampled_from(["", "a"]))
    def delete_a_route_of_netds(self, route: int, netns: str) -> None:
        if netns in self.world.machine.names:
            own = [one for one in self.world.machine.space(netns).routes if one.protocol == 110]
            if own:
                self.world.someone_does(do.DeleteRoute(netns, own[route % len(own)]))

    # What goes wrong

    @rule()
    def lose_events(self) -> None:
        self.world.kernel.deaf = True

    @rule()
    def overrun(self) -> None:
        self.world.kernel.overrun()

    @rule(kind=st.sampled_from(list(HANDLERS)), code=st.sampled_from(ERRORS), times=st.integers(1, 20))
    def refuse(self, kind: type, code: int, times: int) -> None:
        left = times

        def before(operation: Operation) -> KernelError | None:
            nonlocal left
            if type(operation) is not kind or not left:
                return None
            left -= 1
            return kernel_error(code, "refused")

        # A route of others that does not fit is let go on purpose.
        if kind is not do.RestoreRoute:
            self.world.hand.before = before

    @rule(steps=st.integers(1, 60))
    def kill_after(self, steps: int) -> None:
        left = steps

        def step(what: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Killed

        self.world.hand.step = step

    @rule(seed=st.integers(0, 5))
    def shuffle_events(self, seed: int) -> None:
        self.world.hand.order = lambda events: random.Random(seed).sample(events, len(events))

    # Time

    @rule()
    def wake(self) -> None:
        self.guarded(self.world.hear)

    @precondition(lambda self: not self.world.kernel.deaf)
    @rule(seconds=st.sampled_from([0.05, 1.0, 70.0]))
    def tick(self, seconds: float) -> None:
        self.world.clock.now += seconds
        self.guarded(lambda: self.world.settle(seconds))

    # The end

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.verify()
        finally:
            self._context.__exit__(None, None, None)

    def verify(self) -> None:
        """Quiet means as declared; a start changes nothing; what was taken down leaves no trace."""
        each = self.world
        each.hand.before, each.hand.step = (lambda operation: None), (lambda what: None)
        each.kernel.overrun()
        each.settle(2000)
        assert not each.states() and not each.differing()
        assert not differences(plain(each.look(), each.text), fresh(each.text))
        sent: list[Operation] = []
        each.hand.before = lambda operation: sent.append(operation)  # type: ignore[func-returns-value]
        each.restart()
        each.settle()
        assert not sent and not each.states()
        self.others_are_unharmed()
        each.down()
        assert not differences(each.look(), each.foreign), "something is left"


@functools.cache
def fresh(text: str) -> Any:
    """The end where nothing ever happened."""
    with world() as each:
        each.take(text)
        each.settle()
        return plain(each.look(), text)


def plain(look: Any, text: str) -> Any:
    """What there is, without what hangs on the past."""
    values = look[""]["sysctls"]
    if INBORN.replace("/", ".") not in text and values[INBORN] in DEFAULTS:
        del values[INBORN]
    return look


Story.TestCase.settings = settings(
    max_examples=EXAMPLES,
    derandomize="NETD_EXAMPLES" not in os.environ,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
)
TestStory = Story.TestCase


def test_a_namespace_that_went_unheard_is_made_again_in_the_round_that_misses_it() -> None:
    with world() as each:
        each.take("[namespace.a]\n")
        each.kernel.deaf = True
        each.kernel.someone_deletes("a")
        each.take(FIRST)
        each.kernel.overrun()
        each.settle()
        assert not each.states() and not differences(plain(each.look(), FIRST), fresh(FIRST))
