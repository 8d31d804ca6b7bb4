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

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from netd.errors import KernelError, kernel_error
from netd.model import operations as do
from netd.model.operations import Operation
from tests.fakekernel.batch import HANDLERS
from tests.property.drift import HARM, Harm, assert_few, fight
from tests.support import labs, tally
from tests.support.operations import NAMESPACE_OPERATIONS
from tests.support.snapshot import differences
from tests.support.troubled import READINGS, UNREADABLE
from tests.support.world import Killed, World, world

EXAMPLES = int(os.environ.get("NETD_EXAMPLES", "40"))
#: A link keeps its MAC, and its cost as a port (the default is not known).
KEPT = re.compile('mac = "02:00:00:00:00:0a"\n|, cost = 50')
#: Where nothing declares it, a link has what "default" said when it was born.
INBORN, DEFAULTS = "net/ipv4/conf/br0/rp_filter", (None, "0", "1")
FIRST, SECOND = (KEPT.sub("", lab) for lab in (labs.FIRST, labs.SECOND))
#: Texts of the file: two labs, and what is left of them without some of their tables.
TEXTS = {
    "first": FIRST,
    "second": SECOND,
    "nothing": "",
    "half of the first": FIRST.partition("[vxlan.vx0]")[0],
    "half of the second": SECOND.partition("[[route]]")[0],
    "fitting mtu": FIRST.replace("mtu = 1400", 'mtu = "auto"'),
    "other values": FIRST.replace("mtu = 1400", "mtu = 1380").replace("isolated = true", "hairpin = true"),
    "other tunnel": FIRST.replace("vni = 24", "vni = 77").replace('"fd01::1/64"', '"fd01::7/64"'),
    "other route": SECOND.replace("10.2.0.0/24", "10.12.0.0/24"),
    "vlans": FIRST.replace("forward_delay = 4", "vlan_filtering = true\nvlan_default_pvid = 3").replace(
        "isolated = true }", 'isolated = true }, vlans = { pvid = 10, tagged = ["20-22"] }'
    ),
    "other vlans": FIRST.replace("forward_delay = 4", "vlan_filtering = true\nvlans = { tagged = [10] }").replace(
        "isolated = true }", "isolated = true }, vlans = {}"
    ),
    "impaired": FIRST.replace("isolated = true, cost", "cost").replace(
        'mtu = 1400\naddresses = ["10.1.0.1', 'mtu = 1400\nnetem = { delay = "20ms" }\naddresses = ["10.1.0.1'
    ),
    "impaired otherwise": FIRST.replace(
        "[interface.eth0]", '[interface.eth0]\nnetem = { loss = "1%", limit = 50 }'
    ).replace('mtu = 1400\naddresses = ["10.1.0.1', 'mtu = 1400\nnetem = { rate = "1mbit" }\naddresses = ["10.1.0.1'),
    "sysctl": "[sysctl]\nnet.ipv4.ip_default_ttl = 77\n",
    "container": labs.ATTACHED,
    "namespaces": "[namespace.a]\n[namespace.b.bridge.br0]\n",
}
READ = st.sampled_from(sorted(READINGS | {"firewall"}))
ERRORS = (errno.EPERM, errno.EBUSY, errno.EEXIST, errno.ENOENT, errno.ENODEV, errno.ENOBUFS, errno.EINVAL, errno.ENOMEM)
#: Over which files a text is spread (``labs.spread``).
FILES = st.integers(0, 9)
LINKS = (
    ("", "br0"),
    ("", "br1"),
    ("", "to-box"),
    ("", "port-a"),
    ("", "port-b"),
    ("", "vx0"),
    ("a", "eth0"),
    ("b", "eth0"),
)


class Story(RuleBasedStateMachine):
    """One netd after the other on one machine."""

    @initialize()
    def begin(self) -> None:
        tally.count("stories")
        self._context = world()
        self.world: World = self._context.__enter__()
        #: What others wrote to values of theirs while netd kept them, and may stay once netd does not.
        self.theirs: list[Harm] = []

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

    @rule(text=st.sampled_from(list(TEXTS)), files=FILES)
    def edit(self, text: str, files: int) -> None:
        self.guarded(lambda: self.world.take(TEXTS[text], files))

    @rule(files=FILES)
    def rename_files(self, files: int) -> None:
        self.guarded(lambda: self.world.take(self.world.text, files))

    @rule()
    def restart(self) -> None:
        self.guarded(self.world.restart)

    # What others do

    @rule(harm=st.sampled_from(HARM), turn=st.booleans())
    def drift(self, harm: Harm, turn: bool) -> None:
        """``turn``: netd repairs it before anything else happens, and so what it found at first is what counts."""
        if not harm.is_declared(self.world.text):
            return
        if turn:
            self.world.hand.before = lambda operation: None
            self.world.kernel.overrun()
            self.world.someone_does(harm.operation)
            self.guarded(lambda: self.world.settle(400))
        else:
            self.world.someone_does(harm.operation)
            self.may_stay(harm)

    def may_stay(self, harm: Harm) -> None:
        """If the key goes from the file before netd's next turn, this is what it is left at."""
        if harm.place:
            self.theirs.append(harm)

    @rule(harm=st.sampled_from(HARM), pause=st.sampled_from([0.5, 3.0]))
    def fight(self, harm: Harm, pause: float) -> None:
        """Someone undoes it for a minute, whenever netd has done it."""
        if not harm.is_declared(self.world.text) or self.world.kernel.deaf:
            return
        self.world.hand.step = lambda what: None
        self.world.hand.before = lambda operation: None
        self.world.settle(400)
        assert_few(fight(self.world, harm.operation, 60.0, pause), 60.0)
        self.may_stay(harm)

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

    @rule(seen=st.booleans())
    def start_a_container_anew(self, seen: bool) -> None:
        """``seen``: netd gets to know that it is not there for a while."""
        self.world.kernel.someone_closes(labs.BOX)
        if seen:
            self.guarded(lambda: self.world.settle(5))
        self.world.kernel.someone_opens(labs.BOX)

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

    @rule(
        kind=st.sampled_from([*HANDLERS, *NAMESPACE_OPERATIONS]), code=st.sampled_from(ERRORS), times=st.integers(1, 20)
    )
    def refuse(self, kind: type, code: int, times: int) -> None:
        # What is others' and does not fit is let go on purpose.
        if not issubclass(kind, do.Restoration):
            self.world.hand.before = refusing(lambda operation: type(operation) is kind, code, times)

    @rule(what=READ, code=st.sampled_from(UNREADABLE), times=st.integers(1, 20))
    def refuse_reading(self, what: str, code: int, times: int) -> None:
        self.world.hand.reading = refusing(lambda now: now == what, code, times)

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
        each.hand.reading = lambda what: None
        each.kernel.overrun()
        each.settle(2000)
        assert not each.states() and not each.differing()
        assert not differences(self.plain(each.look(), each.text), fresh(each.text))
        self.renaming_files_changes_nothing()
        sent: list[Operation] = []
        each.hand.before = sent.append
        each.restart()
        each.settle()
        assert not sent and not each.states()
        self.others_are_unharmed()
        each.down()
        assert not differences(self.plain(each.look(), ""), each.foreign), "something is left"

    def renaming_files_changes_nothing(self) -> None:
        sent: list[Operation] = []
        self.world.hand.before = sent.append
        self.world.take(self.world.text, self.world.spread + 1)
        assert not sent and not self.world.states()

    def plain(self, look: Any, text: str) -> Any:
        """What there is, without what hangs on the past: what others wrote to a value that netd keeps no more stays."""
        for harm in self.theirs:
            if not harm.is_declared(text):
                harm.forgive(look)
        return plain(look, text)


def refusing(meant: Callable[[Any], bool], code: int, times: int) -> Callable[[Any], KernelError | None]:
    """Refuses what is meant, so many times."""
    left = times

    def refuse(one: Any) -> KernelError | None:
        nonlocal left
        if not left or not meant(one):
            return None
        left -= 1
        return kernel_error(code, "refused")

    return refuse


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


@pytest.mark.parametrize("pause", [0.05, 3.0])
@pytest.mark.thorough
def test_in_a_fight_netd_writes_no_more_often_than_its_budget_says(pause: float) -> None:
    for text in (FIRST, SECOND):
        for harm in HARM:
            if harm.is_declared(text):
                with world() as each:
                    each.take(text)
                    each.settle()
                    assert_few(fight(each, harm.operation, 60.0, pause), 60.0)
                    each.settle(2000)
                    assert not each.states() and not differences(plain(each.look(), text), fresh(text))


def test_a_name_for_a_container_that_was_started_anew_is_taken_away_with_its_table() -> None:
    with world() as each:
        each.take(labs.ATTACHED)
        each.settle()
        each.kernel.someone_closes(labs.BOX)
        each.kernel.someone_opens(labs.BOX)
        each.take("")
        each.settle()
        assert not differences(each.look(), each.foreign)
