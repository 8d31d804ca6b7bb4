"""Chains and rules in one form, whichever tool made them; and what came of a packet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: One expression of libnftables-json(5), such as {"match": ...} or {"accept": null}.
Expression = Mapping[str, Any]


class Rule(NamedTuple):
    """``text``: as its tool writes it, "" where it is only looked up (``handle``) when it is needed."""

    expressions: tuple[Expression, ...]
    handle: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """``hook`` is "" for a chain that is only jumped to; ``type``: filter, nat, route."""

    name: str
    hook: str = ""
    type: str = "filter"
    priority: int = 0
    policy: str = "accept"
    device: str = ""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """``tool``: nft, iptables, or iptables-legacy. ``sets``: elements of named sets and maps."""

    family: str
    name: str
    chains: Mapping[str, Chain]
    sets: Mapping[str, Any] = field(default_factory=dict)
    tool: str = "nft"

    def base_chains(self, hook: str) -> list[Chain]:
        """Those that a packet passes at a hook."""
        return [chain for chain in self.chains.values() if chain.hook == hook]


class Translation(NamedTuple):
    """Of a rule for address translation: ``kind`` dnat, snat, masquerade or redirect; "" and 0: as it was."""

    kind: str
    address: str = ""
    port: int = 0


class Outcome(NamedTuple):
    """``verdict``: accept, drop or unknown. ``where``: "RULE in CHAIN of TABLE"; ``mark`` and ``translation`` are what
    the rules changed."""

    verdict: str
    where: str = ""
    mark: int | None = None
    translation: Translation | None = None
