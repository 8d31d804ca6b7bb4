"""Packets in the base chains of other tools, and the accept rules that let them pass.

An accept in netd's own table does not override another table's drop, so netd adds plain rules to the foreign chain
itself. They survive ``iptables-save | iptables-restore``, and ``iptables -S`` can print them. If no rule can drop the
packets, netd adds none; a rule that was added stays until the key is removed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.firewall import BaseChain, ChainRule, Hook, Match
from netd.model.invalidation import WatchKey
from netd.model.key import Key
from netd.model.marks import TABLE
from netd.model.operations import LegacyAccept, RunNft

from .kind import Kind, Traits

#: The chain that Docker leaves to its users, and never changes.
USER_CHAIN = "DOCKER-USER"
#: Packets from other machines do not arrive by it.
LOOPBACK = "lo"
#: Field of a Match: its words in nft(8), in the order in which they are written.
WORDS: Mapping[str, str] = {
    "iif": 'iifname "{}"', "oif": 'oifname "{}"', "source": "{family} saddr {}", "port": "{protocol} dport {}",
}  # fmt: skip
FAMILIES = {"ip": "ipv4", "ip6": "ipv6"}


class PlacedRule(NamedTuple):
    """A rule, and the chain that it is in."""

    base: BaseChain
    chain: str
    rule: ChainRule


class AcceptRule(Kind):
    """Packets that must pass the base chains of one hook, by a rule of netd's in each that may drop them."""

    hook: ClassVar[Hook]
    traits = Traits(never_adopted=True, in_foreign_chains=True)

    def packets(self, key: Key, locator: Mapping[str, Any]) -> Sequence[Match]:
        """The packets, as far as they are known."""
        raise NotImplementedError

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        if not view.exists(key.netns):
            return None
        found = list(self._at_base_chains(key, locator, view))
        closed = any(needs_rule(base, packet) for base, packet in found)
        rules = any(own_rules(base, packet) for base, packet in found)
        if closed and not rules:
            return None
        return Observed({"accepted": not closed}, {"cookie": view.cookie(key.netns)}, marked=rules)

    def _at_base_chains(self, key: Key, locator: Mapping[str, Any], view: View) -> Iterator[tuple[BaseChain, Match]]:
        for base in view.firewall(key.netns).foreign():
            if base.hook == self.hook:
                yield from ((base, packet) for packet in self.packets(key, locator) if comes_by(base, packet))

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("nft", key.netns),)

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        self.packets(key, locator)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return self._open(desired.key, desired.locator, view)

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        return self._open(key, locator, view)

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return _steps(
            key, [rule for found in self._at_base_chains(key, locator, view) for rule in own_rules(*found)], []
        )

    def _open(self, key: Key, locator: Mapping[str, Any], view: View) -> Sequence[Step]:
        """Adds missing rules, and removes those in a wrong chain, or too low in a chain to be reached."""
        closed = [found for found in self._at_base_chains(key, locator, view) if needs_rule(*found)]
        fresh = [PlacedRule(base, target(base, packet), ChainRule(rule_of(base, packet))) for base, packet in closed]
        return _steps(key, [rule for found in closed for rule in stale_rules(*found)], fresh)


def comes_by(base: BaseChain, packet: Match) -> bool:
    """Whether the base chain sees packets of that family."""
    return base.family == "inet" or packet.family in ("", base.family)


def rule_of(base: BaseChain, packet: Match) -> Match:
    """What the rule for a packet asks, as it reads in this base chain."""
    return packet if base.family == "inet" else packet._replace(family=base.family)


def own_rules(base: BaseChain, packet: Match) -> list[PlacedRule]:
    """netd's rules for it, in any chain."""
    wanted = rule_of(base, packet)
    return [PlacedRule(base, chain, rule) for chain, rule in base.own if rule.match == wanted]


def needs_rule(base: BaseChain, packet: Match) -> bool:
    """Whether such packets can be dropped here, or a rule of netd is in a chain that its owner rewrites."""
    return may_drop(base, packet) or any(
        found.chain == base.chain != target(base, packet) for found in own_rules(base, packet)
    )


def stale_rules(base: BaseChain, packet: Match) -> list[PlacedRule]:
    """netd's rules that a new one replaces: another base chain may jump to the other chains, too."""
    return [found for found in own_rules(base, packet) if found.chain in (base.chain, target(base, packet))]


def may_drop(base: BaseChain, packet: Match) -> bool:
    """Whether such a packet, or some of them, can be dropped here."""
    return "drop" in trace(base, packet)


def surely_dropped(base: BaseChain, packet: Match) -> bool:
    """Whether all such packets are dropped."""
    return trace(base, packet) == {"drop"}


def trace(base: BaseChain, packet: Match) -> Set[str]:
    """The possible verdicts on a packet: "accept", "drop", or both if it is not known."""
    found = _Trace(base, rule_of(base, packet)).through(base.chain)
    last = "drop" if base.drops else "accept"
    return {last if each == "return" else each for each in found}


def target(base: BaseChain, packet: Match) -> str:
    """The chain for an accept rule: Docker's chain for users, if the packet reaches that."""
    walk = _Trace(base, rule_of(base, packet))
    found: set[str] = set()
    for rule in base.rules.get(base.chain, ()):
        if (rule.verdict, rule.chain, rule.certain) == ("jump", USER_CHAIN, True):
            return USER_CHAIN
        if not rule.own and (walk.ends(rule, found) or "drop" in found):
            break
    return base.chain


class _Trace:
    """Traces one packet through the chains of a base chain; evaluates each chain once."""

    def __init__(self, base: BaseChain, packet: Match) -> None:
        self._base = base
        self._packet = packet
        self._known: dict[str, Set[str]] = {}

    def through(self, chain: str) -> Set[str]:
        """Its possible verdicts in a chain: "return" is the end of the chain. Not recursive: no limit of depth."""
        walks = [] if chain in self._known else [self._walk(chain)]
        while walks:
            below = next(walks[-1], None)
            if below is None:
                walks.pop()
            elif below not in self._known:
                walks.append(self._walk(below))
        return self._known[chain]

    def _walk(self, chain: str) -> Iterator[str]:
        """Evaluates one chain; yields each chain that has to be evaluated before."""
        # For a chain that jumps back into this one.
        self._known[chain] = {"return"}
        found: set[str] = set()
        for rule in self._base.rules.get(chain, ()):
            if rule.verdict in ("jump", "goto") and concerns(rule.match, self._packet) is not False:
                yield rule.chain
            if self.ends(rule, found):
                break
        else:
            found.add("return")
        self._known[chain] = found

    def ends(self, rule: ChainRule, found: set[str]) -> bool:
        """Adds the possible verdicts of one rule; returns whether no later rule of the chain sees the packet."""
        fits = concerns(rule.match, self._packet)
        if fits is False or not rule.verdict:
            return False
        certain = rule.certain and fits is True
        if rule.verdict not in ("jump", "goto"):
            found.add(rule.verdict)
            return certain
        below = self.through(rule.chain)
        found |= below if rule.verdict == "goto" else below - {"return"}
        return certain and (rule.verdict == "goto" or "return" not in below)


def concerns(asked: Match, packet: Match) -> bool | None:
    """Whether a rule with this match applies to such packets; None: to some of them."""
    every = True
    if asked.iif == LOOPBACK != packet.iif:
        return False
    for name, want, have in zip(Match._fields, asked, packet, strict=True):
        if not want or want == have:
            continue
        if have and not (name in WITHIN and WITHIN[name](have, want)):
            return False
        every = every and bool(have)
    return True if every else None


def _in_network(inner: str, outer: str) -> bool:
    one, other = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def _in_range(port: str, ports: str) -> bool:
    first, dash, last = ports.partition("-")
    return bool(dash) and int(first) <= int(port) <= int(last)


#: Fields of which one rule can match many values.
WITHIN = {"source": _in_network, "destination": _in_network, "port": _in_range}


def _steps(key: Key, gone: Iterable[PlacedRule], fresh: Iterable[PlacedRule]) -> list[Step]:
    # A table with an owner process refuses changes: other tables are changed in separate transactions.
    lines: dict[bool, dict[str, None]] = {False: {}, True: {}}
    steps: list[Step] = []
    for found, delete in ((gone, True), (fresh, False)):
        for base, chain, rule in found:
            if base.legacy:
                operation = LegacyAccept(key.netns, base.family, chain, rule.match, delete)
                steps.append(Step(Phase.FIREWALL, operation))
                continue
            where = f"{base.family} {base.table} {chain}"
            put = f'insert rule {where} {nft_words(base, rule.match)} counter accept comment "{TABLE}"'
            lines[base.owner][f"delete rule {where} handle {rule.handle}" if delete else put] = None
    for text in lines.values():
        if text:
            steps.append(Step(Phase.FIREWALL, RunNft(key.netns, "".join(f"{line}\n" for line in text))))
    return steps


def nft_words(base: BaseChain, match: Match) -> str:
    """The match in the words of nft(8)."""
    asked = match._asdict()
    found = [text.format(asked[name], **asked) for name, text in WORDS.items() if asked[name]]
    if base.family == "inet" and match.family and not match.source:
        found.insert(0, f"meta nfproto {FAMILIES[match.family]}")
    return " ".join(found)
