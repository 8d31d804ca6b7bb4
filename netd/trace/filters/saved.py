"""The output of iptables-save as tables, its matches in the words of libnftables-json(5)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .model import Chain, Expression, Rule, Table

#: Built-in chains: (hook, priority) by table, include/uapi/linux/netfilter_ipv4.h.
HOOKS = {"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output",
         "POSTROUTING": "postrouting"}  # fmt: skip
PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
SOURCE_NAT = 100
VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
#: Targets after which the next rule is evaluated.
PASSING = frozenset({"LOG", "NFLOG", "ULOG", "TRACE", "CT", "NOTRACK", "CONNMARK", "SET", "CHECKSUM", "TCPMSS"})
#: Matches that ask nothing by themselves.
PLAIN = frozenset({"tcp", "udp", "icmp", "icmp6", "comment", "conntrack", "state", "multiport", "addrtype", "mark"})
UNKNOWN: Expression = {"unknown": "a match that netd does not know"}


def tables_of(saved: str, family: str, tool: str) -> list[Table]:
    """All tables; ``family`` is ip or ip6."""
    found: list[Table] = []
    chains: dict[str, Chain] = {}
    name = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            name, chains = line[1:].strip(), {}
            found.append(Table(family, name, chains, {}, tool))
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            chains[chain] = chain_of(name, chain, policy)
        elif line.startswith("-A "):
            words = split(line)
            rule = Rule(tuple(expressions(words[2:], family, chains)), text=line)
            chains[words[1]] = replace(chains[words[1]], rules=(*chains[words[1]].rules, rule))
    return found


def split(line: str) -> list[str]:
    """The words of a rule."""
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def chain_of(table: str, name: str, policy: str) -> Chain:
    """A chain without rules; ``policy`` is "-" for those of users."""
    hook = HOOKS.get(name, "") if policy != "-" else ""
    kind = "nat" if table == "nat" else "filter"
    priority = SOURCE_NAT if kind == "nat" and hook in ("input", "postrouting") else PRIORITIES.get(table, 0)
    return Chain(name, hook, kind, priority, policy.lower() if policy != "-" else "accept")


def expressions(words: Sequence[str], family: str, chains: Mapping[str, Chain]) -> Iterator[Expression]:
    """The matches of one rule, then what it does."""
    done: Expression | None = None
    options = list(_options(words))
    for option, value, negated in options:
        if option in ("-j", "-g"):
            done = target(option, value, {name: text for name, text, _ in options}, chains)
        elif option in MATCHES:
            left, asked = MATCHES[option](value, family)
            yield {"match": {"op": "!=" if negated else "==", "left": left, "right": asked}}
        elif option == "-m":
            if value not in PLAIN:
                yield UNKNOWN
        elif option not in ARGUMENTS:
            yield UNKNOWN
    if done is not None:
        yield done


def _options(words: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    left, negated = list(words), False
    while left:
        option, values = left.pop(0), []
        if option == "!":
            negated = True
            continue
        while left and not left[0].startswith("-") and left[0] != "!":
            values.append(left.pop(0))
        yield option, " ".join(values), negated
        negated = False


def target(option: str, name: str, options: Mapping[str, str], chains: Mapping[str, Chain]) -> Expression | None:
    """What a rule does with a packet; None: nothing that matters here."""
    if name in VERDICTS:
        return {VERDICTS[name]: None}
    if name in chains:
        return {"goto" if option == "-g" else "jump": {"target": name}}
    if name in PASSING:
        return None
    if name == "MARK":
        value, _, mask = options.get("--set-xmark", options.get("--set-mark", "")).partition("/")
        plain = mask in ("", "0xffffffff") and value
        return {"mangle": {"key": {"meta": {"key": "mark"}}, "value": int(value, 0) if plain else None}}
    if name in ("DNAT", "SNAT", "MASQUERADE", "REDIRECT"):
        return {name.lower(): translation(options.get("--to-destination", options.get("--to-source", "")))}
    return {"queue": None} if name else None


def translation(text: str) -> dict[str, Any]:
    """ "10.0.0.1:80" or "[fd00::1]:80"; a range is not known."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, ""
    return {"addr": address, **({"port": int(port)} if port.isdecimal() else {})} if text else {}


def _network(field: str) -> Callable[[str, str], tuple[Any, Any]]:
    def read(value: str, family: str) -> tuple[Any, Any]:
        found = [_prefix(each) for each in value.split(",")]
        return {"payload": {"protocol": family, "field": field}}, {"set": found}

    return read


def _prefix(text: str) -> Any:
    address, _, length = text.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}} if length.isdecimal() else address


def _name(key: str) -> Callable[[str, str], tuple[Any, Any]]:
    return lambda value, family: ({"meta": {"key": key}}, value[:-1] + "*" if value.endswith("+") else value)


def _ports(field: str) -> Callable[[str, str], tuple[Any, Any]]:
    def read(value: str, family: str) -> tuple[Any, Any]:
        found: list[Any] = []
        for each in value.split(","):
            first, colon, last = each.partition(":")
            found.append({"range": [int(first or 0), int(last or 65535)]} if colon else each)
        return {"payload": {"protocol": "th", "field": field}}, {"set": found}

    return read


def _icmp(protocol: str) -> Callable[[str, str], tuple[Any, Any]]:
    """A type, by number or name; its code is left out."""
    return lambda value, family: ({"payload": {"protocol": protocol, "field": "type"}}, value.partition("/")[0])


def _states(value: str, family: str) -> tuple[Any, Any]:
    return {"ct": {"key": "state"}}, {"set": value.lower().split(",")}


MATCHES: Mapping[str, Callable[[str, str], tuple[Any, Any]]] = {
    "-s": _network("saddr"), "-d": _network("daddr"), "-i": _name("iifname"), "-o": _name("oifname"),
    "-p": lambda value, family: ({"meta": {"key": "l4proto"}}, value),
    "--dport": _ports("dport"), "--sport": _ports("sport"), "--dports": _ports("dport"), "--sports": _ports("sport"),
    "--ctstate": _states, "--state": _states,
    "--icmp-type": _icmp("icmp"), "--icmpv6-type": _icmp("icmpv6"),
    "--dst-type": lambda value, family: ({"fib": {"result": "type", "flags": ["daddr"]}}, value.lower()),
    "--src-type": lambda value, family: ({"fib": {"result": "type", "flags": ["saddr"]}}, value.lower()),
    "--mark": lambda value, family: ({"meta": {"key": "mark"}}, value if "/" not in value else None),
}  # fmt: skip
#: Options of targets, and texts.
ARGUMENTS = frozenset({
    "--comment", "--reject-with", "--to-destination", "--to-source", "--to-ports", "--set-xmark", "--set-mark",
    "--log-prefix", "--log-level", "--random", "--random-fully", "--persistent", "--nflog-group", "--nflog-prefix",
})  # fmt: skip
