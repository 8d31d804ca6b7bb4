"""What nftables and legacy iptables say of one namespace: netd's own table, and the gates of others."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from netd.errors import Refused

Hook = Literal["forward", "input"]
#: Where a rule sends a packet; "": nowhere, the next rule looks at it.
Verdict = Literal["accept", "drop", "jump", "goto", "return", ""]


class Match(NamedTuple):
    """What a rule asks of a packet, or what is known of one; "": anything.

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
    """One rule, as far as it matters: packets of ``match`` go to ``verdict`` (a jump or goto: to ``chain``).

    ``certain``: the rule asks nothing else; else only some of these packets do. ``own``: it is one of netd's, by its
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
    """A base chain of another tool that packets pass, and what it leads to: ``rules`` of each chain by its name.

    ``family`` is ip, ip6 or inet; ``table`` and ``chain`` name it; ``legacy``: it is iptables-legacy's; ``drops`` is
    its policy. ``owner``: only the process that made the table may change it.
    """

    hook: Hook
    family: str
    table: str
    chain: str
    legacy: bool = False
    drops: bool = False
    owner: bool = False
    rules: Mapping[str, tuple[ChainRule, ...]] = field(default_factory=dict)
    #: netd's rules among them, each with its chain: looked for again and again.
    own: tuple[tuple[str, ChainRule], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        own = tuple((chain, rule) for chain, rules in self.rules.items() for rule in rules if rule.own)
        object.__setattr__(self, "own", own)


class OwnRules(NamedTuple):
    """The rules of one object: ``digest`` of them (where some are lost: words that say so), ``position`` among all."""

    digest: str
    position: int


@dataclass(frozen=True, slots=True)
class Firewall:
    """One namespace.

    ``own`` has each object in netd's table by its name. ``disorder`` says what else is wrong with the table, "" for
    nothing. ``exists``: the table is there. ``unreadable``: why nobody knows what the chains of other tools do.
    """

    exists: bool = False
    disorder: str = ""
    own: Mapping[str, OwnRules] = field(default_factory=dict)
    gates: tuple[BaseChain, ...] = ()
    unreadable: str = ""

    def foreign(self) -> tuple[BaseChain, ...]:
        """The base chains of other tools, for those who need them; KernelError where they cannot be read."""
        if self.unreadable:
            raise Refused(errno.EIO, self.unreadable)
        return self.gates
