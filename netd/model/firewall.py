"""What nftables and legacy iptables say of one namespace: netd's own table, and the forward chains of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Direction = Literal["in", "out"]
#: Both ways across a link: ``iifname`` and ``oifname``.
DIRECTIONS: tuple[Direction, ...] = ("in", "out")


@dataclass(frozen=True, slots=True)
class Accept:
    """One of netd's accept rules in a foreign chain.

    ``handle`` is nftables' (0: legacy). ``effective``: no rule before it in its chain could drop the packet.
    """

    direction: Direction
    dev: str
    handle: int = 0
    effective: bool = True


@dataclass(frozen=True, slots=True)
class ForwardChain:
    """A chain of another tool that forwarded packets pass: one that can drop them, or one that holds rules of netd.

    ``family`` is ip, ip6 or inet; ``table`` and ``chain`` name it; ``legacy``: it is iptables-legacy's. ``needed``: an
    accept is needed here (else the rules that are there are left over, and do no harm).
    """

    family: str
    table: str
    chain: str
    legacy: bool = False
    needed: bool = True
    accepted: tuple[Accept, ...] = ()


class OwnRules(NamedTuple):
    """The rules of one object: ``digest`` of them (where some are lost: words that say so), ``place`` among all."""

    digest: str
    place: int


@dataclass(frozen=True, slots=True)
class Firewall:
    """One namespace.

    ``own`` has each object in netd's table by its name. ``disorder`` says what else is wrong with the table, "" for
    nothing. ``exists``: the table is there.
    """

    exists: bool = False
    disorder: str = ""
    own: Mapping[str, OwnRules] = field(default_factory=dict)
    chains: tuple[ForwardChain, ...] = ()
