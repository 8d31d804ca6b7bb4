"""One packet through the chains of a hook, three-valued: what it certainly meets, and what it may meet.

A rule of which a match cannot be told (a rate limit, a time, a match that netd does not know) applies or not: both ways
are followed, and where they end differently the verdict is "unknown".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from netd.trace.packet import Packet

from .model import Chain, Expression, Outcome, Rule, Table, Translation
from .values import Answer, among, negated

#: Chains that are followed into each other: the kernel allows 16.
DEEPEST = 16
#: Where a packet may go after a rule: to the next one, or out of the chain.
NEXT, RETURN = "next", "return"
NOWHERE: Set[str] = frozenset()
TRANSLATIONS = ("dnat", "snat", "masquerade", "redirect")


@dataclass(frozen=True, slots=True)
class Sight:
    """What rules see. ``fib`` says the type of an address here ("local", "unicast"), "" where it cannot be told.

    ``arp``: the packet is a question of ARP about its destination, or (a reply) the answer.
    """

    packet: Packet
    iif: str = ""
    oif: str = ""
    source_mac: str = ""
    destination_mac: str = ""
    fib: Callable[[str], str] = lambda address: ""
    bridge: str = ""
    arp: bool = False

    def value(self, left: Any) -> tuple[Any, str]:
        """(the packet's value of the left side of a match, which words it may be compared with); None: not known."""
        if not isinstance(left, Mapping):
            return None, ""
        kind, about = next(iter(left.items()))
        if kind == "concat":
            return tuple(self.value(each)[0] for each in about), ""
        reader = READERS.get(kind)
        return reader(self, about) if reader is not None else (None, "")

    def payload(self, about: Mapping[str, Any]) -> tuple[Any, str]:
        """A field of a header; "absent" where the packet has no such header."""
        protocol, name = about.get("protocol", ""), about.get("field", "")
        ends, packet = self.packet.ends, self.packet
        if protocol == "arp":
            return self._arp(name) if self.arp else (ABSENT, "")
        if protocol == "ether":
            return self._ether(name)
        if self.arp:
            return ABSENT, ""
        if protocol in ("ip", "ip6"):
            if packet.family != (4 if protocol == "ip" else 6):
                return ABSENT, ""
            fields: dict[str, tuple[Any, str]] = {
                "saddr": (ends.source, ""), "daddr": (ends.destination, ""), "ttl": (packet.ttl, ""),
                "hoplimit": (packet.ttl, ""), "protocol": (packet.number, "protocol"),
                "nexthdr": (packet.number, "protocol"), "length": (packet.size, ""),
            }  # fmt: skip
            return fields.get(name, (None, ""))
        if protocol in ("tcp", "udp", "th"):
            if (protocol != "th" and protocol != packet.protocol) or packet.protocol == "icmp":
                return ABSENT, ""
            return {"sport": (ends.source_port, ""), "dport": (ends.port, "")}.get(name, (None, ""))
        if protocol in ("icmp", "icmpv6"):
            return self._icmp(protocol, name)
        return (ABSENT, "") if protocol in ("sctp", "dccp", "udplite", "esp", "ah") else (None, "")

    def _ether(self, name: str) -> tuple[Any, str]:
        if name == "type":
            return self._ethertype, "ethertype"
        return ({"saddr": self.source_mac, "daddr": self.destination_mac}.get(name) or None), "text"

    @property
    def _ethertype(self) -> int:
        return 0x0806 if self.arp else 0x0800 if self.packet.family == 4 else 0x86DD

    def _arp(self, name: str) -> tuple[Any, str]:
        ends = self.packet.ends
        found = {
            "operation": (2 if self.packet.reply else 1, "arp"), "saddr ip": (ends.source, ""),
            "daddr ip": (ends.destination, ""),
        }  # fmt: skip
        return found.get(name, (None, ""))

    def _icmp(self, protocol: str, name: str) -> tuple[Any, str]:
        version = 4 if protocol == "icmp" else 6
        if self.packet.protocol != "icmp" or self.packet.family != version:
            return ABSENT, ""
        if name != "type":
            return None, ""
        if version == 4:
            return (0 if self.packet.reply else 8), "icmp"
        if self.packet.discovery:
            return (136 if self.packet.reply else 135), "icmp6"
        return (129 if self.packet.reply else 128), "icmp6"

    def meta(self, about: Mapping[str, Any]) -> tuple[Any, str]:
        """What is known of the packet beside its bytes."""
        packet = self.packet
        found: dict[str, tuple[Any, str]] = {
            "iifname": (self.iif, "text"), "oifname": (self.oif, "text"), "iif": (self.iif, "text"),
            "oif": (self.oif, "text"), "mark": (packet.mark, ""),
            "l4proto": (ABSENT if self.arp else packet.number, "protocol"),
            "nfproto": (2 if packet.family == 4 else 10, "nfproto"), "length": (packet.size, ""),
            "protocol": (self._ethertype, "ethertype"), "pkttype": ("host", "text"),
            "ibrname": (self.bridge, "text"), "obrname": (self.bridge, "text"),
        }  # fmt: skip
        return found.get(about.get("key", ""), (None, ""))

    def ct(self, about: Mapping[str, Any]) -> tuple[Any, str]:
        """The connection."""
        packet, key = self.packet, about.get("key", "")
        if key == "state":
            return packet.state, "text"
        if key == "status":
            return [
                *packet.translated,
                *(["seen-reply", "assured", "confirmed"] if packet.state == "established" else []),
            ], "text"
        if key == "direction":
            return ("reply" if packet.reply else "original"), "text"
        return None, ""

    def of_fib(self, about: Mapping[str, Any]) -> tuple[Any, str]:
        """What routing says of an address."""
        flags = about.get("flags", [])
        if about.get("result") != "type":
            return None, ""
        address = self.packet.ends.destination if "daddr" in flags else self.packet.ends.source
        return self.fib(address) or None, "text"


class _Absent:
    """The value of a header that the packet does not have: no match on it is true, whatever it asks."""


ABSENT = _Absent()
READERS: Mapping[str, Callable[[Sight, Any], tuple[Any, str]]] = {
    "payload": Sight.payload, "meta": Sight.meta, "ct": Sight.ct, "fib": Sight.of_fib,
}  # fmt: skip


def passes(
    tables: Sequence[Table], families: Iterable[str], hook: str, sight: Sight
) -> Iterator[tuple[Table, Outcome]]:
    """What each base chain of a hook does with a packet, in order, up to the first that does not let it on.

    Address translation is only for the first packet of a connection.
    """
    chosen = set(families)
    found = [(chain, table) for table in tables if table.family in chosen for chain in table.base_chains(hook)]
    for chain, table in sorted(found, key=lambda pair: pair[0].priority):
        if chain.type == "nat" and (sight.packet.state != "new" or sight.packet.reply):
            continue
        if chain.device and sight.iif not in chain.device.split(","):
            continue
        outcome = _Walk(table, sight).base(chain)
        yield table, outcome
        if outcome.verdict != "accept":
            return
        if outcome.mark is not None:
            sight = replace(sight, packet=replace(sight.packet, mark=outcome.mark))


class _Walk:
    """One packet through one table."""

    def __init__(self, table: Table, sight: Sight) -> None:
        self._table = table
        self._sight = sight

    def base(self, chain: Chain) -> Outcome:
        """Through a base chain."""
        ends, falls = self._chain(chain, 0)
        if falls:
            where = f"the policy of {self._named(chain)}" if chain.policy == "drop" else ""
            ends = [*ends, self._ended(chain.policy, where)]
        return one_of(ends)

    def _ended(self, verdict: str, where: str) -> Outcome:
        return Outcome(verdict, where, self._sight.packet.mark or None)

    def _named(self, chain: Chain) -> str:
        tool = "" if self._table.tool == "nft" else f" ({self._table.tool})"
        return f"{chain.name} in table {self._table.family} {self._table.name}{tool}"

    def _chain(self, chain: Chain, depth: int) -> tuple[list[Outcome], bool]:
        """(where the packet may end in it, whether it may come out of it)."""
        ends: list[Outcome] = []
        returns = False
        for rule in chain.rules:
            applies = self._matches(rule)
            if applies is False:
                continue
            found, after = self._do(rule, chain, depth)
            ends += found
            returns = returns or RETURN in after
            if applies and NEXT not in after:
                return ends, returns
        return ends, True

    def _matches(self, rule: Rule) -> Answer:
        """Whether all matches of a rule are true."""
        answer: Answer = True
        for each in rule.expressions:
            found = self._match(each)
            if found is False:
                return False
            if found is None:
                answer = None
        return answer

    def _match(self, one: Expression) -> Answer:
        kind, about = next(iter(one.items()))
        if kind == "match":
            return self._compare(about)
        if kind == "xt":
            return True if about and (about.get("type") != "match" or about.get("name") == "comment") else None
        return None if kind in ("limit", "quota", "unknown") else True

    def _compare(self, about: Mapping[str, Any]) -> Answer:
        left, operation, asked = about["left"], about.get("op", "=="), about["right"]
        have, words = self._sight.value(left)
        if have is ABSENT:
            return False
        if isinstance(have, list):
            answers = [among(each, asked, self._table.sets, words) for each in have]
            answer: Answer = True in answers
        elif operation in ("<", ">", "<=", ">="):
            return ordered(have, operation, asked)
        else:
            answer = among(have, asked, self._table.sets, words)
        return negated(answer) if operation == "!=" else answer

    def _do(self, rule: Rule, chain: Chain, depth: int) -> tuple[list[Outcome], Set[str]]:
        """(where it may end because of this rule, where it may go on)."""
        for each in rule.expressions:
            kind, about = next(iter(each.items()))
            if kind == "mangle":
                if not self._mangle(about):
                    return [Outcome("unknown", self._where(rule, chain))], {NEXT}
            elif kind in ("jump", "goto"):
                return self._enter(about["target"], kind, depth)
            elif kind == "vmap":
                return self._map(about, rule, chain, depth)
            elif kind in ("accept", "drop", "reject"):
                return [self._ended("accept" if kind == "accept" else "drop", self._where(rule, chain))], NOWHERE
            elif kind == "return":
                return [], {RETURN}
            elif kind in TRANSLATIONS:
                found = translation(kind, about)
                verdict = "accept" if found is not None else "unknown"
                return [Outcome(verdict, self._where(rule, chain), None, found)], NOWHERE
            elif kind == "queue" or (kind == "xt" and (about or {}).get("type") == "target"):
                return [Outcome("unknown", self._where(rule, chain))], {NEXT}
        if rule.expressions and "unknown" in rule.expressions[-1]:
            # The target of the rule, or its last match, is not known.
            return [Outcome("unknown", self._where(rule, chain))], {NEXT}
        return [], {NEXT}

    def _mangle(self, about: Mapping[str, Any]) -> bool:
        """Takes in a new mark; False: what changes cannot be told, and matters."""
        if about["key"] != {"meta": {"key": "mark"}}:
            return "payload" not in about["key"] or about["key"]["payload"].get("field") in (
                "dscp",
                "tos",
                "ttl",
                "hoplimit",
            )
        value = about["value"]
        if isinstance(value, int):
            self._sight = replace(self._sight, packet=replace(self._sight.packet, mark=value))
        return isinstance(value, int)

    def _enter(self, name: str, kind: str, depth: int) -> tuple[list[Outcome], Set[str]]:
        below = self._table.chains.get(name)
        if below is None or depth >= DEEPEST:
            return [], {NEXT}
        ends, falls = self._chain(below, depth + 1)
        return ends, {NEXT if kind == "jump" else RETURN} if falls else NOWHERE

    def _map(self, about: Mapping[str, Any], rule: Rule, chain: Chain, depth: int) -> tuple[list[Outcome], Set[str]]:
        """A verdict map: the verdict of the element that fits."""
        have, words = self._sight.value(about["key"])
        data = about["data"]
        elements = self._table.sets.get(data[1:]) if isinstance(data, str) else data.get("set", [])
        if elements is None or have is None:
            return [Outcome("unknown", self._where(rule, chain))], {NEXT}
        for asked, verdict in elements if have is not ABSENT else ():
            fits = among(have, asked, self._table.sets, words)
            if fits is None:
                return [Outcome("unknown", self._where(rule, chain))], {NEXT}
            if fits:
                return self._do(rule._replace(expressions=(verdict,)), chain, depth)
        return [], {NEXT}

    def _where(self, rule: Rule, chain: Chain) -> str:
        text = rule.text or f"rule {rule.handle}"
        return f"{text} in {self._named(chain)}"


def one_of(ends: Sequence[Outcome]) -> Outcome:
    """One outcome for a packet that may end in several ways."""
    verdicts = {each.verdict for each in ends}
    if len(verdicts) == 1:
        kinds = {(each.translation, each.mark) for each in ends}
        if len(kinds) == 1 or verdicts == {"drop"}:
            return ends[0]
    last = next((each for each in ends if each.verdict != "accept"), ends[0])
    return Outcome("unknown", last.where or next((each.where for each in ends if each.where), ""))


def ordered(have: Any, operation: str, asked: Any) -> Answer:
    """A comparison of numbers."""
    if not isinstance(have, int) or not isinstance(asked, int):
        return None
    return {"<": have < asked, ">": have > asked, "<=": have <= asked, ">=": have >= asked}[operation]


def translation(kind: str, about: Any) -> Translation | None:
    """What a rule makes of addresses; None where that cannot be told (a range, a map)."""
    about = about or {}
    address, port = about.get("addr", ""), about.get("port", 0)
    if not isinstance(address, str) or not isinstance(port, int):
        return None
    return Translation(kind, address, port)
