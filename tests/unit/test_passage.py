"""What a firewall does with a packet, as far as its rules say, and which rules netd puts in."""

from __future__ import annotations

from netd.kinds.base.accept_rule import nft_words, target, trace
from netd.kinds.base.reading import checked
from netd.kinds.link.vxlan_table import VxlanTable, inlets_of
from netd.kinds.open_firewall import closed_text
from netd.model.firewall import BaseChain, ChainRule, Firewall, Match

VXLAN = Match("ip", source="10.0.0.2/32", protocol="udp", port="4789")
UDP = Match("ip", protocol="udp")
SSH = Match("ip", protocol="6", port="22")
#: A firewall of the usual shape: what it lets in, then the rest is refused.
USUAL = (
    ChainRule(Match("ip", iif="lo"), "accept"),
    ChainRule(Match("ip", protocol="1"), "accept"),
    ChainRule(SSH, "accept"),
    ChainRule(Match(), "drop"),
)


def gate(*lines: ChainRule, drops: bool = False, **chains: tuple[ChainRule, ...]) -> BaseChain:
    return BaseChain("input", "ip", "filter", "INPUT", drops=drops, rules={"INPUT": lines, **chains})


def test_an_empty_chain_does_what_its_policy_says() -> None:
    assert trace(gate(), VXLAN) == {"accept"}
    assert trace(gate(drops=True), VXLAN) == {"drop"}


def test_a_port_that_nothing_lets_in_is_dropped_at_the_end() -> None:
    assert trace(gate(*USUAL), VXLAN) == {"drop"}


def test_the_first_rule_that_fits_decides() -> None:
    assert trace(gate(ChainRule(UDP._replace(port="4789"), "accept"), *USUAL), VXLAN) == {"accept"}
    assert trace(gate(*USUAL, ChainRule(UDP._replace(port="4789"), "accept")), VXLAN) == {"drop"}


def test_a_network_holds_its_addresses_and_no_others() -> None:
    inside, outside = Match("ip", source="10.0.0.0/24"), Match("ip", source="10.0.1.0/24")
    assert trace(gate(ChainRule(inside, "accept"), drops=True), VXLAN) == {"accept"}
    assert trace(gate(ChainRule(outside, "accept"), drops=True), VXLAN) == {"drop"}


def test_a_range_holds_its_ports_and_no_others() -> None:
    assert trace(gate(ChainRule(UDP._replace(port="4000-4789"), "accept"), drops=True), VXLAN) == {"accept"}
    assert trace(gate(ChainRule(UDP._replace(port="4790-5000"), "accept"), drops=True), VXLAN) == {"drop"}


def test_what_is_only_said_of_some_such_packets_leaves_both_open() -> None:
    assert trace(gate(ChainRule(UDP, "accept", certain=False), drops=True), VXLAN) == {"accept", "drop"}
    assert trace(gate(ChainRule(Match("ip", iif="eth0"), "accept"), drops=True), VXLAN) == {"accept", "drop"}
    assert trace(gate(ChainRule(UDP, "accept", certain=False), drops=True), SSH) == {"drop"}


def test_jumps_come_back_and_gotos_do_not() -> None:
    below = (ChainRule(SSH, "accept"),)
    after = ChainRule(UDP, "accept")
    assert trace(gate(ChainRule(Match(), "jump", "below"), after, drops=True, below=below), VXLAN) == {"accept"}
    assert trace(gate(ChainRule(Match(), "goto", "below"), after, drops=True, below=below), VXLAN) == {"drop"}
    back = (ChainRule(Match(), "return"), ChainRule(Match(), "accept"))
    assert trace(gate(ChainRule(Match(), "jump", "below"), drops=True, below=back), VXLAN) == {"drop"}


def test_chains_that_lead_to_each_other_end() -> None:
    loop = {"one": (ChainRule(Match(), "jump", "two"),), "two": (ChainRule(Match(), "jump", "one"),)}
    assert trace(gate(ChainRule(Match(), "jump", "one"), drops=True, **loop), VXLAN) == {"drop"}


def test_dockers_chain_for_users_is_taken_where_packets_get_there() -> None:
    user = ChainRule(Match(), "jump", "DOCKER-USER")
    assert target(gate(user, drops=True), VXLAN) == "DOCKER-USER"
    assert target(gate(ChainRule(Match("ip", protocol="1"), "drop"), user), VXLAN) == "DOCKER-USER"
    assert target(gate(ChainRule(UDP, "drop", certain=False), user), VXLAN) == "INPUT"
    assert target(gate(ChainRule(Match(), "accept"), user, drops=True), VXLAN) == "INPUT"


def test_a_tunnel_hears_its_remotes_or_where_others_can_be_all_on_its_link() -> None:
    def hears(**keys: object) -> list[Match]:
        return inlets_of(checked(VxlanTable, {"vni": 1, "dev": "eth0", **keys}))

    entry = {"mac": "02:00:00:00:00:01", "dst": "10.0.0.3"}
    anyone = [UDP._replace(iif="eth0", port="4789")]
    assert hears(remote="10.0.0.2") == [VXLAN]
    assert hears(remote=["10.0.0.2"], fdb=[entry]) == [VXLAN, VXLAN._replace(source="10.0.0.3/32")]
    assert hears(group="239.1.1.1") == hears(fdb=[entry], fdb_owner="external") == hears() == anyone
    assert hears(remote="fd00::2", port=8472) == [Match("ip6", "", "", "fd00::2/128", "", "udp", "8472")]


def test_a_rule_says_its_family_where_the_table_has_several() -> None:
    inet = BaseChain("input", "inet", "fw", "in")
    assert nft_words(gate(), VXLAN) == "ip saddr 10.0.0.2/32 udp dport 4789"
    assert nft_words(inet, VXLAN) == "ip saddr 10.0.0.2/32 udp dport 4789"
    assert nft_words(inet, UDP._replace(iif="eth0", port="1")) == 'meta nfproto ipv4 iifname "eth0" udp dport 1'


def test_what_is_dropped_for_certain_is_said_in_words() -> None:
    text = "a firewall drops packets from 10.0.0.2 to its port, udp 4789 (chain INPUT of ip filter): "
    assert closed_text([VXLAN], Firewall(base_chains=(gate(*USUAL),))).startswith(text)
    assert closed_text([VXLAN], Firewall(base_chains=(gate(ChainRule(UDP, "drop", certain=False)),))) == ""
    assert closed_text([VXLAN._replace(family="ip6")], Firewall(base_chains=(gate(*USUAL),))) == ""
