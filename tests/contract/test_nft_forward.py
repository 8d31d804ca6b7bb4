"""``forward = true``: through every chain that could drop, by rules that outlive a save and restore."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netd.kernel.nft import iptables_legacy as legacy
from netd.kernel.nft import libnftables as nft
from netd.kinds.forward import ForwardKind, forward_object
from netd.model.desired import Observed, Origin
from netd.model.firewall import BaseChain, ChainRule, Match
from netd.model.key import LinkName
from tests.support.nft_lab import Lab, sandbox

KIND = ForwardKind()
BR0 = forward_object(LinkName("", "br0"), Origin("lab.toml", ("bridge", "br0", "forward")))
BOTH = {("in", "br0"), ("out", "br0")}

CHAIN = "nft add chain inet fw forward '{ type filter hook forward priority 0; policy %s; }'; "
DOCKER = "$i -P FORWARD DROP; $i -N DOCKER-USER; $i -A DOCKER-USER -j RETURN; $i -A FORWARD -j DOCKER-USER; "
DROPS = {
    "iptables-nft": "for i in iptables ip6tables; do $i -P FORWARD DROP; done",
    "iptables-nft rule": "for i in iptables ip6tables; do $i -A FORWARD -j REJECT; done",
    "iptables-legacy": "for i in iptables-legacy ip6tables-legacy; do $i -P FORWARD DROP; done",
    "both": "for i in iptables ip6tables iptables-legacy ip6tables-legacy; do $i -P FORWARD DROP; done",
    "docker": f"for i in iptables ip6tables; do {DOCKER} $i -A FORWARD -j DROP; done",
    "docker legacy": f"for i in iptables-legacy ip6tables-legacy; do {DOCKER} done",
    "nft policy": "nft add table inet fw; " + CHAIN % "drop",
    "nft rule": "nft add table inet fw; " + CHAIN % "accept" + "nft add rule inet fw forward meta l4proto tcp drop",
    "nft jump": "nft add table inet fw; nft add chain inet fw deny; nft add rule inet fw deny reject; "
    + CHAIN % "accept"
    + "nft add rule inet fw forward jump deny",
    "nft map": "nft add table inet fw; "
    + CHAIN % "accept"
    + "nft add rule inet fw forward meta l4proto vmap '{tcp:drop}'",
}


@pytest.fixture
def lab() -> Iterator[Lab]:
    """The machine, web, client and far; far knows the way back."""
    with sandbox() as found:
        found.build()
        found.serve("web", 80)
        found.serve("far", 80)
        found.run("sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1")
        found.run("ip -n far route add 192.168.16.0/20 via 10.230.4.204")
        found.run("ip -n far route add fd00:1::/61 via fd00:4::204")
        yield found


@pytest.fixture
def bare() -> Iterator[Lab]:
    """A machine without a network."""
    with sandbox() as found:
        yield found


def seen(lab: Lab) -> Observed | None:
    return KIND.observe(BR0.key, {}, lab.view)


def open_up(lab: Lab) -> None:
    lab.execute(KIND.create(BR0, lab.view, {}))
    now = seen(lab)
    assert now is not None and now.fields == BR0.fields


def rules() -> list[set[tuple[str, str]]]:
    """The (direction, link) of netd's rules, in each forward chain of others that drops, or that has some."""
    return [
        {("in", line.match.iif) if line.match.iif else ("out", line.match.oif) for line in own(gate)}
        for gate in nft.read().base_chains
        if gate.hook == "forward"
    ]


def own(gate: BaseChain) -> list[ChainRule]:
    """netd's rules for links there."""
    return [line for lines in gate.rules.values() for line in lines if line.own and not line.match.protocol]


@pytest.mark.parametrize("how", DROPS)
def test_bridged_and_routed_traffic_gets_through(lab: Lab, how: str) -> None:
    lab.run(DROPS[how])
    assert seen(lab) is None
    assert lab.ask("client", "10.230.4.9", 80) == lab.ask("client", "192.168.17.204", 80) == ""
    open_up(lab)
    assert lab.answer("client", "10.230.4.9", 80) == "80 192.168.18.5"
    assert lab.answer("client", "192.168.17.204", 80) == "80 192.168.18.5"
    assert lab.answer("client", "fd00:4::9", 80) == "80 fd00:1:0:3::5"
    assert lab.answer("client", "fd00:1::204", 80) == "80 fd00:1:0:3::5"
    now = seen(lab)
    assert now is not None
    lab.execute(KIND.delete(BR0.key, {}, now, lab.view))
    assert seen(lab) is None and not any(rules())
    assert lab.ask("client", "10.230.4.9", 80) == ""


@pytest.mark.parametrize("how", ["iptables-nft", "docker", "iptables-legacy", "docker legacy"])
def test_a_save_and_restore_of_iptables_doubles_nothing(bare: Lab, how: str) -> None:
    bare.run(DROPS[how])
    bare.run("for i in iptables ip6tables; do $i -A FORWARD -i br0 -p tcp -m comment --comment mine -j ACCEPT; done")
    open_up(bare)
    before = rules()
    tools = "iptables-legacy ip6tables-legacy" if "legacy" in how else "iptables ip6tables"
    bare.run(f"for i in {tools}; do $i-save > /run/saved; $i-restore < /run/saved; done")
    assert rules() == before and all(chain in (BOTH, set()) for chain in before) and BOTH in before
    assert KIND.create(BR0, bare.view, {}) == []
    now = seen(bare)
    assert now is not None
    bare.execute(KIND.delete(BR0.key, {}, now, bare.view))
    assert not any(rules())
    assert "--comment mine -j ACCEPT" in bare.run("iptables -S FORWARD")


def test_where_nothing_drops_nothing_is_put_in(bare: Lab) -> None:
    bare.run("iptables -P FORWARD ACCEPT; nft add table inet fw; " + CHAIN % "accept")
    now = seen(bare)
    assert now is not None and now.fields == BR0.fields and not now.marked
    assert KIND.create(BR0, bare.view, {}) == [] and nft.read().base_chains == ()


def test_a_policy_that_turns_is_noticed_and_the_rules_stay_when_it_turns_back(bare: Lab) -> None:
    bare.run("iptables -P FORWARD ACCEPT")
    assert seen(bare) is not None
    bare.run("iptables -P FORWARD DROP")
    assert seen(bare) is None
    open_up(bare)
    bare.run("iptables -P FORWARD ACCEPT")
    now = seen(bare)
    assert now is not None and now.fields == BR0.fields and now.marked and rules() == [BOTH]


def test_a_lost_rule_and_one_behind_a_drop_are_put_right(bare: Lab) -> None:
    bare.run("iptables -P FORWARD DROP")
    open_up(bare)
    bare.run("iptables -D FORWARD 1")
    now = seen(bare)
    assert now is not None and now.fields == {"accepted": False}
    bare.execute(KIND.change(BR0.key, {}, now, {"accepted": True}, bare.view))
    assert rules() == [BOTH]
    bare.run("iptables -I FORWARD 1 -j DROP")
    now = seen(bare)
    assert now is not None and now.fields == {"accepted": False}
    bare.execute(KIND.change(BR0.key, {}, now, {"accepted": True}, bare.view))
    (gate,) = nft.read().base_chains
    assert len(own(gate)) == 2 and all(line.own for line in gate.rules["FORWARD"][:2])


LATE = "nft add chain inet fw late '{ type filter hook forward priority 10; policy drop; }'; "
SHARED = (
    "nft add chain inet fw DOCKER-USER; nft add rule inet fw forward %s; nft add rule inet fw late jump DOCKER-USER"
)


@pytest.mark.parametrize("lead", ["ct state new", "jump DOCKER-USER", "meta l4proto tcp drop; $j"])
def test_chains_of_one_table_do_not_take_each_others_rules(bare: Lab, lead: str) -> None:
    more = SHARED % lead.replace("$j", "nft add rule inet fw forward jump DOCKER-USER")
    bare.run("nft add table inet fw; " + CHAIN % "drop" + LATE + more)
    open_up(bare)
    for name in ("forward", "late", "DOCKER-USER"):
        bare.run(f"nft flush chain inet fw {name}")
        if name != "DOCKER-USER":
            bare.run(f"nft add rule inet fw {name} jump DOCKER-USER")
        now = seen(bare)
        bare.execute(KIND.change(BR0.key, {}, now or Observed({}), {"accepted": True}, bare.view))
        now = seen(bare)
        assert now is not None and now.fields == BR0.fields
        assert KIND.change(BR0.key, {}, now, {}, bare.view) == [], "and no chain has more to ask"
    now = seen(bare)
    assert now is not None
    bare.execute(KIND.delete(BR0.key, {}, now, bare.view))
    assert "netd" not in bare.run("nft list ruleset")


def test_links_do_not_take_each_others_rules(bare: Lab) -> None:
    bare.run("iptables -P FORWARD DROP")
    open_up(bare)
    other = forward_object(LinkName("", "br0.100"), BR0.origins[0])
    bare.execute(KIND.create(other, bare.view, {}))
    now = seen(bare)
    assert now is not None
    bare.execute(KIND.delete(BR0.key, {}, now, bare.view))
    assert rules() == [{("in", "br0.100"), ("out", "br0.100")}]


def test_what_only_looks_like_ours_is_not(bare: Lab) -> None:
    bare.run("iptables -P FORWARD DROP")
    for rule in ("-i br0 -j ACCEPT", "-i br0 -p tcp -m comment --comment netd -j ACCEPT"):
        bare.run(f"iptables -A FORWARD {rule}")
    bare.run("iptables -A FORWARD -i br+ -m comment --comment netd -j ACCEPT")
    bare.run("iptables -A FORWARD -i br0 -m comment --comment netd2 -j ACCEPT")
    bare.run("iptables -A FORWARD ! -i br0 -m comment --comment netd -j ACCEPT")
    assert rules() == [set()] and seen(bare) is None


def test_iptables_can_still_print_its_chain(bare: Lab) -> None:
    bare.run("iptables -P FORWARD DROP")
    open_up(bare)
    assert "-A FORWARD -i br0 -m comment --comment netd -j ACCEPT" in bare.run("iptables -S FORWARD")


def test_legacy_is_not_asked_where_it_has_no_filter_table(bare: Lab) -> None:
    assert legacy.read() == []
    assert bare.run("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names") == ""


def test_the_rules_of_iptables_legacy_are_understood() -> None:
    saved = """
        *filter
        :INPUT ACCEPT [0:0]
        :FORWARD ACCEPT [0:0]
        :DOCKER-USER - [0:0]
        :deny - [0:0]
        -A FORWARD -j DOCKER-USER
        -A FORWARD -m comment --comment "my rule" -j deny
        -A DOCKER-USER -i br0 -m comment --comment netd -j ACCEPT
        -A DOCKER-USER -s 10.0.0.1/32 -j RETURN
        -A DOCKER-USER -o br0 -m comment --comment netd -j ACCEPT
        -A deny -j REJECT --reject-with icmp-port-unreachable
        COMMIT
        """
    some = Match("ip")
    lines = {
        "FORWARD": (ChainRule(some, "jump", "DOCKER-USER"), ChainRule(some, "jump", "deny")),
        "DOCKER-USER": (
            ChainRule(some._replace(iif="br0"), "accept", own=True),
            ChainRule(some._replace(source="10.0.0.1/32"), "return"),
            ChainRule(some._replace(oif="br0"), "accept", own=True),
        ),
        "deny": (ChainRule(some, "drop"),),
    }
    gates = list(legacy.base_chains("ip", saved))
    assert gates[0] == BaseChain("forward", "ip", "filter", "FORWARD", legacy=True, rules=lines)
