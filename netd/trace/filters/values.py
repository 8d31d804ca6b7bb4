"""Values of nftables expressions, libnftables-json(5): is a value of the packet among those that a rule asks for?"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

#: An answer; None: it cannot be told.
Answer = bool | None
Sets = Mapping[str, Any]

PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "gre": 47,
    "esp": 50,
    "sctp": 132,
}
ETHERTYPES = {"ip": 0x0800, "ip6": 0x86DD, "arp": 0x0806, "vlan": 0x8100, "8021q": 0x8100}
NFPROTO = {"ipv4": 2, "ipv6": 10, "ip": 2, "ip6": 10}
ICMP = {
    "echo-reply": 0, "destination-unreachable": 3, "redirect": 5, "echo-request": 8, "time-exceeded": 11,
    "parameter-problem": 12,
}  # fmt: skip
ICMP6 = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128,
    "echo-reply": 129, "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
}  # fmt: skip
WORDS: Mapping[str, Mapping[str, int]] = {
    "protocol": PROTOCOLS, "ethertype": ETHERTYPES, "nfproto": NFPROTO, "icmp": ICMP, "icmp6": ICMP6,
    "arp": {"request": 1, "reply": 2},
}  # fmt: skip


def negated(answer: Answer) -> Answer:
    """The opposite; what cannot be told stays so."""
    return None if answer is None else not answer


def among(have: Any, asked: Any, sets: Sets, words: str = "") -> Answer:
    """Whether a value of the packet is the one, or one of those, that are asked for."""
    if have is None:
        return None
    if isinstance(asked, list):
        return _any(have, asked, sets, words)
    if isinstance(asked, Mapping):
        return _in_mapping(have, asked, sets, words)
    if isinstance(asked, str) and asked.startswith("@"):
        found = sets.get(asked[1:])
        return None if found is None else _any(have, found, sets, words)
    return _equal(have, asked, words)


def _any(have: Any, asked: list[Any], sets: Sets, words: str) -> Answer:
    answer: Answer = False
    for one in asked:
        found = among(have, one, sets, words)
        if found:
            return True
        if found is None:
            answer = None
    return answer


def _in_mapping(have: Any, asked: Mapping[str, Any], sets: Sets, words: str) -> Answer:
    reader = FORMS.get(next(iter(asked), ""))
    return reader(have, next(iter(asked.values())), sets, words) if reader is not None else None


def _in_prefix(have: Any, asked: Any, sets: Sets, words: str) -> Answer:
    network = ipaddress.ip_network(f"{asked['addr']}/{asked['len']}", strict=False)
    address = ipaddress.ip_address(have)
    return address.version == network.version and address in network


def _in_range(have: Any, asked: Any, sets: Sets, words: str) -> Answer:
    first, last = (comparable(one, words) for one in asked)
    value = comparable(have, words)
    if None in (first, last, value) or len({type(first), type(last), type(value)}) != 1:
        return None
    return bool(first <= value <= last)


def _in_concatenation(have: Any, asked: Any, sets: Sets, words: str) -> Answer:
    if not isinstance(have, tuple) or len(have) != len(asked):
        return None
    answers = [among(one, other, sets, words) for one, other in zip(have, asked, strict=True)]
    return False if False in answers else None if None in answers else True


FORMS: Mapping[str, Callable[[Any, Any, Sets, str], Answer]] = {
    "prefix": _in_prefix,
    "range": _in_range,
    "concat": _in_concatenation,
    "set": lambda have, asked, sets, words: among(have, asked, sets, words),
    "elem": lambda have, asked, sets, words: among(have, asked.get("val"), sets, words),
}


def _equal(have: Any, asked: Any, words: str) -> Answer:
    if isinstance(have, str) and isinstance(asked, str) and asked.endswith("*"):
        return have.startswith(asked[:-1])
    one, other = comparable(have, words), comparable(asked, words)
    if one is None or other is None:
        return None
    return bool(one == other)


def comparable(value: Any, words: str) -> Any:
    """A number for numbers and known words, an address for addresses; None: not understood."""
    if isinstance(value, int):
        return int(value)
    if not isinstance(value, str):
        return None
    known = WORDS.get(words, {})
    if value in known:
        return known[value]
    if words == "text":
        return value
    try:
        return int(value, 0)
    except ValueError:
        pass
    try:
        found = ipaddress.ip_address(value)
        return int(found) | (1 << 130 if found.version == 6 else 0)
    except ValueError:
        return None if known else value
