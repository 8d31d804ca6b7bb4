"""A UDP port that is opened in the firewalls of other tools: ``open_firewall = true`` of a vxlan.

Several tunnels to one remote need the same rule: it is one object, and is removed with the last of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from netd.model.desired import Desired, Origin
from netd.model.firewall import Firewall, Match
from netd.model.key import Key

from .base.accept_rule import AcceptRule, comes_by, surely_dropped
from .base.kind import Traits
from .base.roles import NamesHosts
from .base.values import family_of, hosts_in


def open_object(netns: str, packets: Match, origin: Origin) -> Desired:
    """The packets to accept. It matches by name and waits for nothing; its source can be "host:NAME" at first."""
    hosts = hosts_in([packets.source])
    source = packets.source.partition("/")[0] or "*"
    name = f"{packets.family}/{packets.protocol}/{packets.port},{source},{packets.iif or '*'}"
    locator = {"match": packets._asdict()}
    return Desired(Key(netns, "open", name), {"accepted": True}, (origin,), locator=locator, hosts=hosts)


def from_host(packets: Match, remote: str) -> Match:
    """The packets of one remote: its address, or "host:NAME"."""
    if hosts_in([remote]):
        return packets._replace(source=remote)
    family, length = ("ip", 32) if family_of(remote) == 4 else ("ip6", 128)
    return packets._replace(family=family, source=f"{remote}/{length}")


def found_at(packets: Match, addresses: Mapping[str, str]) -> Match | None:
    """The same with the address of its host; None: it is none of these."""
    for name in hosts_in([packets.source]):
        return from_host(packets, addresses[name]) if name in addresses else None
    return packets


class OpenFirewallKind(AcceptRule, NamesHosts):
    """open/FAMILY/PROTOCOL/PORT,SOURCE,IN."""

    name = "open"
    traits = Traits(never_adopted=True, in_foreign_chains=True, mergeable=True)
    hook = "input"

    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        packets = found_at(Match(**desired.locator["match"]), addresses)
        if packets is None:
            return None
        there = open_object(desired.key.netns, packets, desired.origins[0])
        return replace(desired, key=there.key, locator=there.locator, hosts=())

    def packets(self, key: Key, locator: Mapping[str, Any]) -> Sequence[Match]:
        return (Match(**locator["match"]),)


def closed_text(packets: Iterable[Match], firewall: Firewall) -> str:
    """Which of these a firewall drops, and where; "" for none."""
    for one in packets:
        for base in firewall.foreign():
            if base.hook == OpenFirewallKind.hook and comes_by(base, one) and surely_dropped(base, one):
                host = f" from {one.source.partition('/')[0]}" if one.source else f" on {one.iif}" if one.iif else ""
                where = f"chain {base.chain} of {base.family} {base.table}" + (" (iptables-legacy)" * base.legacy)
                return (
                    f"a firewall drops packets{host} to its port, {one.protocol} {one.port} ({where}): "
                    "'open_firewall = true' accepts them"
                )
    return ""
