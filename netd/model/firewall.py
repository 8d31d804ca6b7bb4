"""The rules of nftables and legacy iptables in one namespace: netd's own table, and foreign base chains."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from netd.errors import Refused

Hook = Literal["forward", "input"]
#: Where a rule sends a packet; "": nowhere, the next rule is evaluated.
Verdict = Literal["accept", "drop", "jump", "goto", "return", ""]


class Match(NamedTuple):
    """The match of a rule, or what is known of a packet; "": any value.

    ``family`` is ip or ip6; ``iif`` and ``oif`` are names of links; ``source`` and ``destination`` canonical CIDRs;
    ``protocol`` is "udp" or a number, ``port`` the one that the packet is for, or a range ("5000-6000").
    """

    family: str = ""
    iif: str = ""
    oif: str = ""
    source: str = ""
    destination: str = ""
    protocol: str = ""
    port: str = ""


class ChainRule(NamedTuple):
    """The relevant part of one rule: packets of ``match`` go to ``verdict`` (a jump or goto: to ``chain``).

    ``certain``: the rule has no other match; else it applies to some of these packets. ``own``: it is netd's, by its
    comment. ``handle`` is nftables' (0: legacy).
    """

    match: Match = Match()
    verdict: Verdict = ""
    chain: str = ""
    certain: bool = True
    own: bool = False
    handle: int = 0


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A base chain of another tool, and the chains that it jumps to: ``rules`` of each chain by its name.

    ``family`` is ip, ip6 or inet; ``table`` and ``chain`` name it; ``legacy``: it is iptables-legacy's; ``drops`` is
    its policy. ``owner``: only the process that created the table can change it.
    """

    hook: Hook
    family: str
    table: str
    chain: str
    legacy: bool = False
    drops: bool = False
    owner: bool = False
    rules: Mapping[str, tuple[ChainRule, ...]] = field(default_factory=dict)
    #: netd's rules among them, each with its chain: cached, because they are needed often.
    own: tuple[tuple[str, ChainRule], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        own = tuple((chain, rule) for chain, rules in self.rules.items() for rule in rules if rule.own)
        object.__setattr__(self, "own", own)


class OwnRules(NamedTuple):
    """The rules of one object: their ``digest`` (or a text, if some are missing), and their ``position`` among all."""

    digest: str
    position: int


@dataclass(frozen=True, slots=True)
class Firewall:
    """One namespace.

    ``own`` has each object in netd's table by its name. ``disorder`` says what else is wrong with the table, "" for
    nothing. ``exists``: the table exists. ``unreadable``: why the chains of other tools cannot be read.
    """

    exists: bool = False
    disorder: str = ""
    own: Mapping[str, OwnRules] = field(default_factory=dict)
    base_chains: tuple[BaseChain, ...] = ()
    unreadable: str = ""

    def foreign(self) -> tuple[BaseChain, ...]:
        """The base chains of other tools, for those who need them; KernelError where they cannot be read."""
        if self.unreadable:
            raise Refused(errno.EIO, self.unreadable)
        return self.base_chains
