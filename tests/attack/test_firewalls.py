"""What stands in the rules of other tools fails those who have to know them, at most, and no one else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from netd.kernel.nft import iptables_legacy
from netd.kinds.base.accept_rule import trace
from netd.model.firewall import BaseChain, ChainRule, Firewall, Match, Verdict
from tests.attack.user import User, inside, number
from tests.support.host import Host

LAB = """
[bridge.br0]
addresses = ["10.8.0.1/24"]
forward = true

[bridge.br1]
addresses = ["10.8.1.1/24"]

[[nat.masquerade]]
source = "10.8.0.0/24"
out = "eth0"

[namespace.one.veth.eth0]
addresses = ["10.8.1.2/24"]
peer = { name = "to-one", master = "br1" }
"""
#: What others put into legacy iptables before netd starts.
HOSTILE = {
    "a newline in a comment": "iptables-legacy -A FORWARD -m comment --comment \"$(printf 'x\\ny')\" -i x -j ACCEPT",
    "quotes in a comment": "iptables-legacy -A FORWARD -m comment --comment '\"' -i x -j ACCEPT",
    "an option in a comment": "iptables-legacy -A FORWARD -m comment --comment ' -j DROP' -i x -j ACCEPT",
    "bytes that are no text": "iptables-legacy -A FORWARD -m comment --comment \"$(printf '\\377')\" -i x -j ACCEPT",
    "quotes in a chain's name": "iptables-legacy -N 'a\"b'; iptables-legacy -A FORWARD -i x -j 'a\"b'",
}
#: 1,200 user chains that jump one to the next.
DEEP = """
{ echo '*filter'; echo ':FORWARD DROP [0:0]'
  for n in $(seq 1200); do echo ":c$n - [0:0]"; done
  echo '-A FORWARD -i nowhere -j c1'
  for n in $(seq 1199); do echo "-A c$n -j c$((n + 1))"; done
  echo COMMIT; } | iptables-legacy-restore
"""


@pytest.mark.parametrize("rule", [*HOSTILE.values(), DEEP], ids=[*HOSTILE, "chains that lead into each other"])
def test_rules_of_legacy_iptables_keep_nothing_from_being_built(host: Host, rule: str) -> None:
    host.sh(rule + "\niptables-legacy -P FORWARD DROP")
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    host.converged()
    host.ping("10.8.1.2")
    saved = host.run("sh", "-c", "iptables-legacy-save -t filter | grep -ac -- '--comment netd'")
    assert int(saved) == 2, "one each way, and no second time"
    host.run("ip", "addr", "del", "10.8.1.1/24", "dev", "br1")
    host.ping("10.8.1.2")
    assert "Traceback" not in daemon.text()


def test_a_users_rules_in_his_namespace_fail_what_needs_them_there_and_no_more(host: Host) -> None:
    container = number(host, User(host).container())
    host.write("lab.toml", LAB)
    host.write("box.toml", f"""
        [namespace.box]
        attach = "pid:{container}"
        [[namespace.box.nat.masquerade]]
        source = "10.8.9.0/24"
        out = "eth0"
        [namespace.box.veth.eth0]
        addresses = ["10.8.1.3/24"]
        forward = true
        peer = {{ name = "to-box", master = "br1" }}
    """)  # fmt: skip
    daemon = host.daemon()
    host.ping("10.8.1.2", "10.8.1.3")
    inside(host, container, DEEP + HOSTILE["a newline in a comment"])
    host.run("ip", "addr", "del", "10.8.1.1/24", "dev", "br1")
    host.ping("10.8.1.2", "10.8.1.3")
    host.netd("reload")
    host.converged()
    assert "Traceback" not in daemon.text()


def test_a_firewall_that_cannot_be_read_fails_the_objects_that_need_it_and_no_others(host: Host) -> None:
    """The program that reads it prints what nobody understands."""
    host.sh("""
        iptables-legacy -P FORWARD DROP
        mkdir /run/bin
        printf '#!/bin/sh\\nyes | head -c 33554432\\n' > /run/bin/iptables-legacy-save
        chmod 755 /run/bin/iptables-legacy-save
        mount --bind /run/bin/iptables-legacy-save "$(realpath "$(command -v iptables-legacy-save)")"
    """)
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    host.ping("10.8.1.2")
    host.until(lambda: host.state("forward/br0") == "failed", "the one that needs it has failed")
    status = host.status()
    assert status["state"] == "degraded"
    assert {each["object"] for each in status["objects"] if each["state"] != "ok"} == {"forward/br0"}
    assert "Traceback" not in daemon.text()
    host.run("sh", "-c", 'umount "$(realpath "$(command -v iptables-legacy-save)")"')
    host.netd("reload")
    host.converged()


def test_no_depth_of_chains_is_too_deep_and_a_circle_has_an_end() -> None:
    def rules(count: int, last: ChainRule) -> Mapping[str, tuple[ChainRule, ...]]:
        found = {f"c{n}": (ChainRule(verdict="jump", chain=f"c{n + 1}"),) for n in range(count)}
        return found | {f"c{count}": (last,)}

    packet = Match(family="ip", iif="br0")
    ends: dict[Verdict, set[str]] = {"drop": {"drop"}, "accept": {"accept"}, "return": {"accept"}}
    for last, fate in ends.items():
        gate = BaseChain("forward", "ip", "filter", "c0", rules=rules(20_000, ChainRule(verdict=last)))
        assert trace(gate, packet) == fate
    circle = BaseChain("forward", "ip", "filter", "c0", rules=rules(3000, ChainRule(verdict="jump", chain="c0")))
    assert trace(circle, packet) == {"accept"}


@pytest.mark.parametrize(
    "saved", ["\0", ":", ":\n-A\n", "-A FORWARD -j\n", ':FORWARD DROP\n-A FORWARD "', "-A " * 9999, '"' * 99_999]
)
def test_what_a_program_prints_is_read_as_far_as_it_makes_sense(saved: str) -> None:
    assert all(isinstance(one, BaseChain) for one in iptables_legacy.base_chains("ip", saved))


def test_only_who_asks_for_the_chains_of_others_learns_that_they_cannot_be_read() -> None:
    firewall = Firewall(True, own={}, unreadable="why")
    assert firewall.own == {}
    with pytest.raises(Exception, match="why"):
        firewall.foreign()
