"""Mutated answers of nftables are understood in part or not at all, and raise nothing."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netd.kernel.nft import base_chains as gates
from netd.kernel.nft import libnftables as nft
from netd.kernel.nft import nfnetlink
from netd.kernel.nft import own_table as ruleset
from netd.kernel.nft.nfnetlink import GETCHAIN, GETRULE, GETTABLE, Reader
from netd.kinds.base import nat_rules as translation
from tests.support.fuzzing import spoilt, tried
from tests.support.kernel_sandbox import lonely_kernel, sh
from tests.support.labs import FIREWALL

FOREIGN = """
nft add rule ip filter FORWARD iifname br0 counter accept comment netd
nft add rule ip filter FORWARD tcp dport vmap '{ 80 : drop, 81 : accept }'
nft add chain ip filter DOCKER-USER
nft add rule ip filter FORWARD jump DOCKER-USER
nft add rule ip filter DOCKER-USER ip saddr 10.0.0.0/8 drop
nft add rule ip filter DOCKER-USER reject
"""
DNAT = {"type": "dnat", "protocol": "tcp", "port": "8000-8003", "address": "10.0.0.2", "to_port": "9000-9003"}


@functools.cache
def answers() -> dict[int, tuple[bytes, ...]]:
    """What a kernel with netd's table, and with those of others, sends: {message: payloads}."""
    found: dict[int, tuple[bytes, ...]] = {}
    with lonely_kernel():
        sh(FIREWALL)
        sh(FOREIGN)
        masquerade = {"type": "masquerade", "source": "10.1.0.0/24", "out": "eth0"}
        entries = [("dnat/ip/tcp/1", {**DNAT, "in": "", "destination": ""}), ("masquerade/ip/2", masquerade)]
        nft.run(translation.transaction(entries, exists=False))
        with Reader() as reader:
            for message in (GETTABLE, GETCHAIN, GETRULE):
                found[message] = tuple(reader._ask(message, 0, b"") or ())
    return found


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> list[bytes]:
    """All messages of one dump, one of them with bytes changed, cut, doubled or put in."""
    chosen = draw(st.integers(0, len(seeds) - 1))
    return [*seeds[:chosen], spoilt(draw, seeds[chosen]), *seeds[chosen + 1 :]]


class Told(Reader):
    """Answers what it was given."""

    def __init__(self, given: dict[int, list[bytes]]) -> None:
        self._given = given

    def _ask(self, message: int, family: int, payload: bytes) -> list[bytes]:
        return self._given[message]


@tried(200)
@given(data=st.data())
def test_mutated_answers_of_nftables_raise_nothing(data: st.DataObject) -> None:
    seeds = answers()
    assert all(seeds.values())
    given: dict[int, Any] = {message: list(bodies) for message, bodies in seeds.items()}
    message = data.draw(st.sampled_from(list(seeds)))
    given[message] = data.draw(mutated(seeds[message]))
    reader = Told(given)
    tables, chains, rules = reader.tables(), reader.chains(), reader.rules("ip", "filter")
    assert all(len(rule.comment) < 1000 for rule in rules)
    forward = tuple(gates.base_chains(tables, chains, rules, lambda *_: ()))
    firewall = ruleset.firewall(tables, chains, [rule for rule in rules if rule.table == "netd"], forward)
    repr(firewall)
    for rule in rules:
        assert len(rule.expressions) < 1000


def test_a_name_that_is_no_text_can_be_sealed() -> None:
    rule = nfnetlink.NftRule("inet", "netd", "\udc80rerouting", 7, "", b"")
    assert ruleset.seal([rule]) != ruleset.seal([replace(rule, chain="\udc81rerouting")])


@tried(200)
@given(st.binary(max_size=300))
def test_attributes_of_rubbish_end(data: bytes) -> None:
    assert len(nfnetlink.nested(data)) <= 75
