"""Operations on sysctls, files, rules of firewalls, and tracked connections."""

from __future__ import annotations

from dataclasses import dataclass

from netd.model import effects
from netd.model.firewall import Match
from netd.model.flows import Translation

from .base import Deletion, Operation


@dataclass(frozen=True, slots=True)
class WriteSysctl(Operation):
    """Writes ``value`` to a key below /proc/sys, given as its path there ("net/ipv4/ip_forward")."""

    stale = (effects.sysctl,)
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class WriteFile(Operation):
    """Writes a file below /etc/netns, in place; ``new``: only if there is none. ``path`` is NAMESPACE/NAME."""

    stale = (effects.file,)
    path: str
    text: str
    new: bool = False


@dataclass(frozen=True, slots=True)
class DeleteFile(Deletion):
    """Removes a file below /etc/netns, and its directory if that is empty then."""

    stale = (effects.file,)
    path: str


@dataclass(frozen=True, slots=True)
class RunNft(Operation):
    """One nft transaction, as nft(8) text."""

    stale = (effects.in_namespace("nft"),)
    text: str


@dataclass(frozen=True, slots=True)
class DropFlows(Operation):
    """Deletes connections from conntrack that these entries, in their order, cannot have translated so; in the
    background."""

    entries: tuple[Translation, ...]


@dataclass(frozen=True, slots=True)
class LegacyAccept(Operation):
    """One ``iptables-legacy`` / ``ip6tables-legacy`` accept rule at the top of a chain of "filter" (or its removal).

    ``family`` "ip" or "ip6"; commented "netd".
    """

    stale = (effects.in_namespace("nft"),)
    family: str
    chain: str
    match: Match
    delete: bool = False
