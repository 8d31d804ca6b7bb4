"""The nft rules of address translation, as text for one transaction (nft(8)).

A client on the target's link would get its answer directly, but this machine has to undo the translation: such a
connection, and one from this machine itself, is masqueraded. The client's link is not known in advance: prerouting
notes each incoming link as the pair (link, link), and postrouting asks whether (incoming, outgoing) is such a pair.
A packet that br_netfilter shows on its way through one bridge has no incoming link there (0), nor has one of this
machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from netd.model.marks import TABLE

OWN = f"inet {TABLE}"
CHAINS = {
    "prerouting": "type nat hook prerouting priority -100; policy accept;",
    "output": "type nat hook output priority -100; policy accept;",
    "postrouting": "type nat hook postrouting priority 100; policy accept;",
}
#: Pairs of one link with itself; forgotten after a minute, so that links that are gone do not fill it.
PAIRS = "same"
PAIRS_TYPE = "type iface_index . iface_index; size 65535; flags dynamic,timeout; timeout 1m;"
NOT_LOOPBACK = {"ip": "ip daddr != 127.0.0.0/8", "ip6": "ip6 daddr != ::1"}

#: Groups and broadcasts.
NO_GROUP = {"ip": "ip daddr != 224.0.0.0/4 fib daddr type != broadcast", "ip6": "ip6 daddr != ff00::/8"}
#: What this machine routes, and what it sends itself; not what only crosses one of its bridges (br_netfilter): that has
#: no incoming link, and its source is no address of this machine.
SENT = "iif . fib saddr type != { 0 . unicast, 0 . unreachable, 0 . blackhole, 0 . prohibit }"


class NatRule(NamedTuple):
    """``handles``: how many numbers the kernel gives to it and its anonymous map."""

    chain: str
    text: str
    handles: int = 1


def rules(entry: Mapping[str, Any]) -> list[NatRule]:
    """The rules of one entry of the kind nat (``Desired.data``)."""
    return _dnat(entry) if entry["type"] == "dnat" else [_source_nat(entry)]


def digest(entry: Mapping[str, Any]) -> str:
    """A digest of these rules, ten hexadecimal digits."""
    text = "\n".join(f"{rule.chain} {rule.text}" for rule in rules(entry))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def transaction(entries: Sequence[tuple[str, Mapping[str, Any]]], exists: bool) -> str:
    """Replaces netd's table by these (object, entry), in their order; none of them: removes it.

    Where the table does not exist nothing is deleted: the kernel would be busy with that for 12 ms.
    """
    lines = [f"add table {OWN}", f"delete table {OWN}"] if exists else []
    if not entries:
        return "\n".join(lines) + "\n"
    named = [(name, digest(entry), rules(entry)) for name, entry in entries]
    lines.append(f"add table {OWN}")
    handle = 1
    if any(entry["type"] == "dnat" for _, entry in entries):
        lines.append(f"add set {OWN} {PAIRS} {{ {PAIRS_TYPE} }}")
        handle += 1
    used = {rule.chain for _, _, found in named for rule in found}
    for chain, definition in CHAINS.items():
        if chain in used:
            lines.append(f"add chain {OWN} {chain} {{ {definition} }}")
            handle += 1
    for name, mark, found in named:
        for number, rule in enumerate(found, 1):
            handle += rule.handles
            comment = f"{name} {mark} {number}/{len(found)} #{handle - 1}"
            lines.append(f'add rule {OWN} {rule.chain} {rule.text} comment "{comment}"')
    return "\n".join(lines) + "\n"


def _source_nat(entry: Mapping[str, Any]) -> NatRule:
    source, out, to = entry["source"], entry["out"], entry.get("to", "")
    family = _family(source or to)
    words = []
    if source:
        words.append(f"{family} saddr {source}")
    elif to:
        words.append(f"meta nfproto {'ipv6' if family == 'ip6' else 'ipv4'}")
    if out:
        words.append(f'oifname "{out}"')
    else:
        # Without a link to leave by: what stays within the network does not leave, nor what is for a group, or for all.
        words.append(f"{family} daddr != {source} {NO_GROUP[family]}")
    words += [SENT, f"snat {family} to {to}" if to else "masquerade"]
    return NatRule("postrouting", " ".join(words), 2)


def _dnat(entry: Mapping[str, Any]) -> list[NatRule]:
    protocol, port, link = entry["protocol"], entry["port"], entry["in"]
    family = _family(entry["address"])
    here = _destination(family, entry["destination"])
    target, handles = _target(family, entry)
    found = []
    came_by = f'iifname "{link}" ' if link else ""
    note = f"update @{PAIRS} {{ iif . iif }} "
    found.append(NatRule("prerouting", f"{came_by}{here} {protocol} dport {port} {note}{target}", handles))
    if not link:
        found.append(NatRule("output", f"{here} {protocol} dport {port} {target}", handles))
    translated = f"ct status dnat {family} daddr {entry['address']} meta l4proto {protocol}"
    translated += f" ct original proto-dst {port}"
    if entry["destination"]:
        translated += f" ct original {family} daddr {entry['destination']}"
    for same in (f"iif . oif @{PAIRS}", "iif 0"):
        found.append(NatRule("postrouting", f"{translated} {same} masquerade"))
    return found


def _destination(family: str, address: str) -> str:
    return f"{family} daddr {address}" if address else f"{NOT_LOOPBACK[family]} fib daddr type local"


def _target(family: str, entry: Mapping[str, Any]) -> tuple[str, int]:
    """The statement, and its handles: a map that shifts ports one to one is an object of its own."""
    address, port, to = entry["address"], entry["port"], entry["to_port"]
    if not to or to == port:
        return f"dnat {family} to {address}", 1
    if "-" not in port:
        return f"dnat {family} to {f'[{address}]' if family == 'ip6' else address}:{to}", 1
    first, last = (int(end) for end in port.split("-"))
    shift = int(to.split("-")[0]) - first
    pairs = ", ".join(f"{number} : {number + shift}" for number in range(first, last + 1))
    return f"dnat {family} to {address} : {entry['protocol']} dport map {{ {pairs} }}", 2


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"


def families(addresses: Iterable[str]) -> set[str]:
    """The families of those that are given."""
    return {_family(address) for address in addresses if address}
