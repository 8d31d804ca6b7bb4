"""The base chains of other tools: for forwarded packets, and for packets to the machine itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netd.model.firewall import BaseChain, ChainRule, Hook
from netd.model.marks import TABLE

from .nfnetlink import NftChain, NftRule, NftTable
from .rules import DROP, Elements, chain_rules

#: NF_INET_LOCAL_IN, NF_INET_FORWARD.
HOOKS: Mapping[int | None, Hook] = {1: "input", 2: "forward"}
#: Tables that netd adds no rule to: its own, and that of firewalld's panic mode, which drops everything.
APART = frozenset({("inet", TABLE), ("inet", "firewalld_policy_drop")})
#: Names that need no quotes in nft(8) text.
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9/\\_.-]*")


def packet_chains(chains: Iterable[NftChain]) -> list[tuple[str, str]]:
    """The tables that have such chains."""
    found = {(chain.family, chain.table): None for chain in chains if _is_gate(chain)}
    return list(found)


def _is_gate(chain: NftChain) -> bool:
    return (
        chain.hook in HOOKS
        and chain.family in ("ip", "ip6", "inet")
        and (chain.family, chain.table) not in APART
        and all(PLAIN.fullmatch(name) for name in (chain.table, chain.name))
    )


def base_chains(
    tables: Iterable[NftTable], chains: Iterable[NftChain], rules: Iterable[NftRule], elements: Elements
) -> Iterator[BaseChain]:
    """Those that can drop something, or lead to rules of netd; a table that is dormant does neither.

    ``elements`` reads a set: (family, table, name).
    """
    states = {(table.family, table.name): table for table in tables}
    by_table: dict[tuple[str, str], dict[str, list[NftRule]]] = {}
    for rule in rules:
        by_table.setdefault((rule.family, rule.table), {}).setdefault(rule.chain, []).append(rule)
    bases = [chain for chain in chains if _is_gate(chain)]
    for family, name in dict.fromkeys((base.family, base.table) for base in bases):
        table = states.get((family, name), NftTable(family, name))
        if table.dormant:
            continue
        known = by_table.get((family, name), {})
        here = [base for base in bases if (base.family, base.table) == (family, name)]
        reached = {base.name: _reached([base.name], known, elements) for base in here}
        # Chains that nothing leads to any more: a rule of netd in one is known as long as it exists.
        own = {chain for chain, found in known.items() if any(_perhaps_own(rule) for rule in found)}
        left = _reached(own.difference(*reached.values()), known, elements)
        for base in here:
            seen = BaseChain(
                HOOKS[base.hook], family, name, base.name,
                drops=base.policy == DROP, owner=table.owner, rules=left | reached[base.name],
            )  # fmt: skip
            if matters(seen):
                yield seen


def matters(base: BaseChain) -> bool:
    """Whether a packet can end there, or netd has to know its own rules again."""
    return base.drops or any(
        line.own or line.verdict == "drop" for of_chain in base.rules.values() for line in of_chain
    )


def _reached(
    chains: Iterable[str], rules: Mapping[str, Sequence[NftRule]], elements: Elements
) -> dict[str, tuple[ChainRule, ...]]:
    """The rules of these chains, and of all chains that they lead to."""
    left = [*chains]
    reached: dict[str, tuple[ChainRule, ...]] = {}
    while left:
        name = left.pop()
        if name not in reached:
            reached[name] = tuple(line for rule in rules.get(name, ()) for line in chain_rules(rule, elements))
            left += [line.chain for line in reached[name] if line.chain]
    return reached


def _perhaps_own(rule: NftRule) -> bool:
    """By its comment, nft's or that of an xt match."""
    return rule.comment == TABLE or TABLE.encode() + b"\0" in rule.raw
