"""What a rule asks reads the same, whichever tool wrote it and in whichever form."""

from __future__ import annotations

import pytest

from netd.kernel.nft import libnftables as nft
from netd.model.firewall import BaseChain, ChainRule, Match
from tests.support.nft_lab import sandbox

IP = Match("ip")
UDP = IP._replace(protocol="udp", port="4789")
FROM = UDP._replace(source="10.0.0.2/32")
SOME = ChainRule(IP, "accept", certain=False)

#: What iptables understands, and the same in nft(8): "" where it has none.
RULES: dict[str, tuple[str, str, list[ChainRule]]] = {
    "all": ("-j DROP", "drop", [ChainRule(IP, "drop")]),
    "refused": ("-j REJECT", "reject", [ChainRule(IP, "drop")]),
    "logged": ("-j LOG", "log", []),
    "a link": ("-i eth0 -j ACCEPT", "iifname eth0 accept", [ChainRule(IP._replace(iif="eth0"), "accept")]),
    "links": ("-i eth+ -j ACCEPT", 'iifname "eth*" accept', [SOME]),
    "the loopback": ("-i lo -j ACCEPT", "iif lo accept", [ChainRule(IP._replace(iif="lo"), "accept")]),
    "any other link": ("! -i eth0 -j ACCEPT", "iifname != eth0 accept", [SOME]),
    "a port": ("-p udp --dport 4789 -j ACCEPT", "udp dport 4789 accept", [ChainRule(UDP, "accept")]),
    "a range of ports": (
        "-p udp --dport 4700:4800 -j ACCEPT",
        "udp dport { 4700-4800 } accept",
        [ChainRule(UDP._replace(port="4700-4800"), "accept")],
    ),
    "ports": (
        "",
        "udp dport { 53, 4789, 5000-6000 } accept",
        [ChainRule(UDP._replace(port=port), "accept") for port in ("53", "4789", "5000-6000")],
    ),
    "a port it comes from": (
        "-p udp --sport 53 -j ACCEPT",
        "udp sport 53 accept",
        [ChainRule(IP._replace(protocol="udp"), "accept", certain=False)],
    ),
    "a host": (
        "-s 10.0.0.2 -p udp --dport 4789 -j ACCEPT",
        "ip saddr 10.0.0.2 udp dport 4789 accept",
        [ChainRule(FROM, "accept")],
    ),
    "networks": (
        "-s 10.0.0.0/8 -d 10.1.2.0/23 -j DROP",
        "ip saddr 10.0.0.0/8 ip daddr 10.1.2.0/23 drop",
        [ChainRule(IP._replace(source="10.0.0.0/8", destination="10.1.2.0/23"), "drop")],
    ),
    "hosts": (
        "",
        "ip saddr { 10.0.0.2, 10.0.0.3 } drop",
        [ChainRule(IP._replace(source=f"10.0.0.{host}/32"), "drop") for host in (2, 3)],
    ),
    "answers": ("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "ct state { established, related } accept", []),
    "what is no connection": ("-m conntrack --ctstate INVALID -j DROP", "ct state invalid drop", []),
    "states by a map": ("", "ct state vmap { established : accept, invalid : drop }", []),
    "what begins": (
        "-p udp --dport 4789 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
        "udp dport 4789 ct state new,established accept",
        [ChainRule(UDP, "accept")],
    ),
    "a rate": ("-m limit --limit 5/s -j ACCEPT", "limit rate 5/second accept", [SOME]),
    "a map": ("", "udp dport vmap { 53 : accept }", [
        ChainRule(IP._replace(protocol="udp"), verdict, certain=False) for verdict in ("accept", "drop")
    ]),
    "netd's": (
        "-s 10.0.0.2 -p udp --dport 4789 -m comment --comment netd -j ACCEPT",
        "ip saddr 10.0.0.2/32 udp dport 4789 counter accept comment netd",
        [ChainRule(FROM, "accept", own=True)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_understood(name: str) -> None:
    iptables, native, expected = RULES[name]
    with sandbox() as lab:
        lab.run("iptables-nft -P INPUT DROP; iptables-legacy -P INPUT DROP")
        found: dict[str, BaseChain] = {}
        if iptables:
            lab.run(f"iptables-legacy -A INPUT {iptables}")
            lab.run(f"iptables-nft -A INPUT {iptables}")
            found |= {f"iptables-{'legacy' if gate.legacy else 'nft'}": gate for gate in nft.read().base_chains}
            lab.run("iptables-nft -F")
        if native:
            lab.run(f"nft add rule ip filter INPUT '{native}'")
            found["nft"] = next(gate for gate in nft.read().base_chains if not gate.legacy)
        for tool, gate in found.items():
            assert [line._replace(handle=0) for line in gate.rules.get("INPUT", ())] == expected, tool
