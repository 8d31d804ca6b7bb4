"""The objects of ``nft -j list ruleset`` as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .model import Chain, Rule, Table

#: Standard names of priorities, where nft writes them instead of numbers.
PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}


def tables_of(objects: Iterable[Mapping[str, Any]]) -> list[Table]:
    """All tables that are in force: a dormant one does nothing."""
    chains: dict[tuple[str, str], dict[str, Chain]] = {}
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    sets: dict[tuple[str, str], dict[str, Any]] = {}
    asleep: set[tuple[str, str]] = set()
    for each in objects:
        kind, one = next(iter(each.items()))
        if kind == "table":
            at = (one["family"], one["name"])
            chains[at], sets[at] = {}, {}
            if "dormant" in str(one.get("flags", "")):
                asleep.add(at)
        elif kind == "chain":
            chains[one["family"], one["table"]][one["name"]] = chain_of(one)
        elif kind == "rule":
            where = (one["family"], one["table"], one["chain"])
            rules.setdefault(where, []).append(Rule(tuple(one.get("expr", ())), one.get("handle", 0)))
        elif kind in ("set", "map"):
            sets[one["family"], one["table"]][one["name"]] = one.get("elem", [])
    for (family, table, chain), found in rules.items():
        known = chains[family, table]
        known[chain] = replace(known[chain], rules=tuple(found))
    return [Table(*at, found, sets[at]) for at, found in chains.items() if at not in asleep]


def chain_of(one: Mapping[str, Any]) -> Chain:
    """One chain, without its rules."""
    priority = one.get("prio", 0)
    device = one.get("dev", "")
    return Chain(
        one["name"],
        one.get("hook", ""),
        one.get("type", "filter"),
        PRIORITIES.get(priority, 0) if isinstance(priority, str) else priority,
        one.get("policy", "accept"),
        device if isinstance(device, str) else ",".join(device),
    )


def with_devices(table: Table, devices: Mapping[str, str]) -> Table:
    """With the devices of its chains: {chain: devices}."""
    chains = {name: replace(one, device=devices.get(name, one.device)) for name, one in table.chains.items()}
    return replace(table, chains=chains)


def is_of_iptables(table: Table) -> bool:
    """Whether nft shows matches of iptables-nft in it only by their names: iptables-save says what they are."""
    return any("xt" in each for chain in table.chains.values() for rule in chain.rules for each in rule.expressions)
