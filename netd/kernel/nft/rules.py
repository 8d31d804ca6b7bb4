"""What one rule of nftables matches, and where it sends the packet: ``ChainRule``.

nft(8) and iptables-nft write the same thing in different expressions; what is not understood makes a line uncertain.
A packet is looked at as the first of its kind (``ct state new``): what only concerns others is left out.
"""

from __future__ import annotations

import ipaddress
import itertools
import math
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netd.model.firewall import ChainRule, Match, Verdict
from netd.model.marks import TABLE

from .nfnetlink import Element, Expression, NftRule, nested

#: Verdicts, NF_DROP, NF_ACCEPT, NFT_JUMP, NFT_GOTO, NFT_RETURN.
DROP, ACCEPT, JUMP, GOTO, RETURN = 0, 1, -3, -4, -5
VERDICTS: Mapping[int, Verdict] = {DROP: "drop", ACCEPT: "accept", JUMP: "jump", GOTO: "goto", RETURN: "return"}
#: NFT_CMP_*.
EQUAL, AT_MOST, AT_LEAST = 0, 3, 5
#: Targets of xtables that end a packet.
DROPS = frozenset({"REJECT", "DROP", "TARPIT"})
#: NFT_CT_*: its state, and its status (that of connections which were answered, or translated). NFT_META_*.
CONNTRACK_KEYS = {0: "state", 2: "status"}
META = {4: "iif index", 5: "oif index", 6: "iif", 7: "oif", 15: "nfproto", 16: "protocol"}
#: NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER.
NETWORK, TRANSPORT = 1, 2
#: The index of "lo", in every namespace.
LOOPBACK = 1
#: NFPROTO_*, and where a header of that family has its addresses: {offset: field}, and how many bytes they take.
FAMILIES = {2: "ip", 10: "ip6"}
ADDRESSES = {"ip": ({12: "source", 16: "destination"}, 4), "ip6": ({8: "source", 24: "destination"}, 16)}
PROTOCOLS = {17: "udp"}
#: The bit of a new connection, in nftables (NF_CT_STATE_BIT) and in xt_conntrack.
NEW = 8
#: struct xt_conntrack_mtinfo3: match_flags, invert_flags, state_mask; XT_CONNTRACK_STATE.
CONNTRACK, STATE_ONLY = struct.Struct("=146xHHH"), 1
#: Expressions that change nothing about where a packet goes.
HARMLESS = frozenset({"counter", "log", "dynset", "notrack", "objref", "last"})
#: Reads a set: (family, table, name).
Elements = Callable[[str, str, str], Sequence[Element]]
#: Of a set that has more, or of several sets in one rule that make more lines, only so much is known: some packets.
MOST = 128


class _Elsewhere(Exception):
    """The rule concerns no new packet."""


@dataclass(slots=True)
class _Reader:
    """``registers`` hold what was loaded: (field, mask), the mask None for all of it. ``asked`` has what may be in each
    field, ``lower`` is where a range of ports begins of which the end is still to come.
    """

    rule: NftRule
    elements: Elements
    family: str = ""
    asked: dict[str, list[str]] = field(default_factory=dict)
    certain: bool = True
    comment: str = ""
    verdict: Verdict = ""
    chain: str = ""
    mapped: bool = False
    lower: str = ""
    registers: dict[int, tuple[str, bytes | None]] = field(default_factory=dict)

    def take(self, one: Expression) -> None:
        """One expression after the other."""
        reader = EXPRESSIONS.get(one.name)
        if reader is not None:
            reader(self, one.attributes)
        elif one.name not in HARMLESS:
            self.certain = False
            self.registers.clear()

    def meta(self, found: Mapping[int, bytes]) -> None:
        self.registers[number(found, 1)] = (META.get(number(found, 2), ""), None)

    def ct(self, found: Mapping[int, bytes]) -> None:
        self.registers[number(found, 1)] = (CONNTRACK_KEYS.get(number(found, 2), ""), None)

    def payload(self, found: Mapping[int, bytes]) -> None:
        base, offset, length = (number(found, each) for each in (2, 3, 4))
        name = ""
        if base == TRANSPORT and (offset, length) == (2, 2):
            name = "port"
        elif base == NETWORK and self.family in ADDRESSES:
            fields, size = ADDRESSES[self.family]
            name = fields.get(offset, "") if length <= size else ""
            if (self.family, offset, length) in (("ip", 9, 1), ("ip6", 6, 1)):
                name = "protocol"
        self.registers[number(found, 1)] = (name, None)

    def bitwise(self, found: Mapping[int, bytes]) -> None:
        name, before = self.registers.get(number(found, 1), ("", None))
        mask = nested(found.get(4, b"")).get(1, b"")
        plain = before is None and not any(nested(found.get(5, b"")).get(1, b""))
        self.registers[number(found, 2)] = (name if plain and mask else "", mask)

    def cmp(self, found: Mapping[int, bytes]) -> None:
        name, mask = self.registers.get(number(found, 1), ("", None))
        value, operation = nested(found.get(3, b"")).get(1, b""), number(found, 2)
        equal = operation == EQUAL
        if name == "state":
            self.state(value, mask, equal)
        elif name == "status":
            raise _Elsewhere
        elif equal:
            self.asks(name, [meaning(name, self.family, value, mask)])
        elif name == "port" and operation == AT_LEAST and not self.lower:
            self.lower = meaning(name, self.family, value, mask)
        elif name == "port" and operation == AT_MOST and self.lower:
            first, self.lower = self.lower, ""
            last = meaning(name, self.family, value, mask)
            self.asks(name, [f"{first}-{last}" if last else ""])
        else:
            self.certain = False

    def state(self, value: bytes, mask: bytes | None, equal: bool) -> None:
        """``ct state``: a mask and "not 0", or one state and "equal"."""
        if equal is not (mask is None) or (mask is not None and any(value)):
            self.certain = False
        elif not int.from_bytes(mask or value, sys.byteorder) & NEW:
            raise _Elsewhere

    def asks(self, name: str, values: Sequence[str]) -> None:
        """The field has one of these values; "" is one that is not understood."""
        name = "family" if name == "nfproto" else name.removesuffix(" index")
        if not name or not values or "" in values or self.asked.get(name, values) != values:
            self.certain = False
            return
        self.asked[name] = [*values]
        if name == "family" and len(values) == 1:
            self.family = values[0]

    def range(self, found: Mapping[int, bytes]) -> None:
        name, _ = self.registers.get(number(found, 1), ("", None))
        first, last = (int.from_bytes(nested(found.get(each, b"")).get(1, b""), "big") for each in (3, 4))
        self.asks(name, [f"{first}-{last}" if name == "port" and number(found, 2) == 0 else ""])

    def lookup(self, found: Mapping[int, bytes]) -> None:
        """A set, or a map. Those without a name of their own are small, and stay as they are."""
        name, mask = self.registers.get(number(found, 2), ("", None))
        called = text(found)
        anonymous = called.startswith(("__set", "__map")) and mask is None
        keys = self.elements(self.rule.family, self.rule.table, called) if anonymous else ()
        if name == "state":
            if all(int.from_bytes(key.key, sys.byteorder) != NEW for key in keys):
                raise _Elsewhere
            self.certain = self.certain and 3 not in found
        elif 3 in found or number(found, 5) or len(keys) > MOST:
            self.certain = False
        else:
            self.asks(name, members(name, self.family, keys))
        if 3 in found:
            self.mapped = self.mapped or not any(found[3])
            self.registers.clear()

    def immediate(self, found: Mapping[int, bytes]) -> None:
        data = nested(nested(found.get(2, b"")).get(2, b""))
        if len(data.get(1, b"")) == 4:
            self.verdict = VERDICTS.get(struct.unpack("!i", data[1])[0], "")
            self.chain = data.get(2, b"").rstrip(b"\0").decode(errors="surrogateescape")

    def reject(self, found: Mapping[int, bytes]) -> None:
        self.verdict = "drop"

    def target(self, found: Mapping[int, bytes]) -> None:
        if text(found) in DROPS:
            self.verdict = "drop"

    def match(self, found: Mapping[int, bytes]) -> None:
        """A match of xtables: its name, and its structure as it is in the kernel."""
        name, info = text(found), found.get(3, b"")
        if name == "comment":
            self.comment = info.partition(b"\0")[0].decode(errors="replace")
        elif name == "udp" and len(info) >= 9:
            self.udp(*struct.unpack_from("=HHHHB", info))
        elif name == "conntrack" and len(info) >= CONNTRACK.size and CONNTRACK.unpack_from(info)[:2] == (STATE_ONLY, 0):
            if not CONNTRACK.unpack_from(info)[2] & NEW:
                raise _Elsewhere
        else:
            self.certain = False

    def udp(self, first: int, last: int, port: int, until: int, inverted: int) -> None:
        """struct xt_udp: ranges of ports, the source's and the destination's."""
        self.asks("protocol", ["udp"])
        if (port, until) != (0, 0xFFFF):
            self.asks("port", [str(port) if port == until else f"{port}-{until}"])
        self.certain = self.certain and (first, last, inverted) == (0, 0xFFFF, 0)

    def chain_rules(self) -> Iterator[ChainRule]:
        """The result: one rule for each combination of values. A map of verdicts can send a packet either way."""
        asked = {"family": [self.family]} | self.asked
        self.certain = self.certain and not self.lower
        if math.prod(map(len, asked.values())) > MOST:
            asked, self.certain = {"family": [self.family]}, False
        own = self.verdict == "accept" and self.certain and TABLE in (self.rule.comment, self.comment)
        for values in itertools.product(*asked.values()):
            match = Match(**dict(zip(asked, values, strict=True)))
            if self.mapped:
                yield ChainRule(match, "accept", certain=False)
                yield ChainRule(match, "drop", certain=False)
            elif self.verdict:
                yield ChainRule(match, self.verdict, self.chain, self.certain, own, self.rule.handle)


EXPRESSIONS: Mapping[str, Callable[[_Reader, Mapping[int, bytes]], None]] = {
    name: getattr(_Reader, name)
    for name in ("meta", "ct", "payload", "bitwise", "cmp", "range", "lookup", "immediate", "reject", "target", "match")
}


def chain_rules(rule: NftRule, elements: Elements) -> list[ChainRule]:
    """None, where the rule concerns no new packet or sends it nowhere."""
    reader = _Reader(rule, elements, rule.family if rule.family in ADDRESSES else "")
    try:
        for one in rule.expressions:
            reader.take(one)
    except _Elsewhere:
        return []
    return list(reader.chain_rules())


def meaning(name: str, family: str, value: bytes, mask: bytes | None = None) -> str:
    """What a value that is compared says of a field; "" where that is not understood."""
    if name in ("source", "destination") and family in ADDRESSES:
        return _network(value, mask, ADDRESSES[family][1])
    if mask is not None or not value:
        return ""
    if name in ("iif", "oif"):
        return value.rstrip(b"\0").decode(errors="surrogateescape") if value.endswith(b"\0") else ""
    if name.endswith("index"):
        return "lo" if int.from_bytes(value, sys.byteorder) == LOOPBACK else ""
    if name == "nfproto":
        return FAMILIES.get(value[0], "")
    if name == "protocol" and len(value) == 1:
        return PROTOCOLS.get(value[0], str(value[0]))
    return str(int.from_bytes(value, "big")) if name == "port" and len(value) == 2 else ""


def members(name: str, family: str, keys: Sequence[Element]) -> list[str]:
    """The same of the elements of a set. Of intervals only those of ports are understood."""
    if not any(key.ends for key in keys):
        return sorted(meaning(name, family, key.key) for key in keys)
    if name != "port":
        return [""]
    bounds = sorted((int.from_bytes(key.key, "big"), key.ends) for key in keys)
    found, first = [], -1
    for bound, ends in bounds:
        if ends and first >= 0:
            found.append(str(first) if bound == first + 1 else f"{first}-{bound - 1}")
        first = -1 if ends else bound
    return [*found, f"{first}-65535"] if first >= 0 else found


def _network(value: bytes, mask: bytes | None, size: int) -> str:
    """The CIDR of a comparison: whole bytes of an address, or all of it under a mask; "" for none."""
    length = len(value) * 8
    if mask is not None:
        bits = int.from_bytes(mask, "big")
        length = bits.bit_count()
        if bits != (1 << len(mask) * 8) - (1 << len(mask) * 8 - length):
            return ""
    if not 0 < len(value) <= size:
        return ""
    try:
        return str(ipaddress.ip_network((value.ljust(size, b"\0"), length)))
    except ValueError:
        return ""


def number(found: Mapping[int, bytes], which: int) -> int:
    """An attribute that is a number, 0 where it is not there."""
    return int.from_bytes(found.get(which, b""), "big")


def text(found: Mapping[int, bytes]) -> str:
    """The name in the first attribute."""
    return found.get(1, b"").rstrip(b"\0").decode(errors="replace")
