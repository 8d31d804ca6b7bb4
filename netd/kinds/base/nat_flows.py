"""What a change of address translation means for existing connections."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from netd.model.firewall import Firewall
from netd.model.flows import PROTOCOLS, Translation

from . import nat_rules

FAMILIES = {"ip": int(socket.AF_INET), "ip6": int(socket.AF_INET6), "inet": 0}


def changed_translations(
    entries: Sequence[tuple[str, Mapping[str, Any]]], firewall: Firewall
) -> tuple[Translation, ...]:
    """The entries (name, data) that are written now, in their order, and those that are no longer; () where nothing
    changed. ``firewall`` is the state before."""
    before = sorted(firewall.own, key=lambda name: firewall.own[name].position)
    names = [name for name, _ in entries]
    moved = [name for name in before if name in names] != [name for name in names if name in firewall.own]
    found = []
    for name, entry in entries:
        known = firewall.own.get(name)
        same = known is not None and known.digest == nat_rules.digest(entry)
        found.append(translation(name, entry, changed=moved or bool(firewall.disorder) or not same))
    found += [gone(name) for name in before if name not in names]
    return tuple(found) if any(one.changed for one in found) else ()


def translation(name: str, entry: Mapping[str, Any], *, changed: bool) -> Translation:
    """An entry that is in force."""
    matched = gone(name)
    if entry["type"] != "dnat":
        return Translation(
            matched.type, True, changed, matched.family, matched.source, matched.link, entry.get("to", "")
        )
    ports = _span(entry["to_port"]) if entry["to_port"] else None
    return Translation(
        "dnat", True, changed, matched.family, "", matched.link, entry["address"],
        matched.protocol, matched.ports, ports, matched.destination,
    )  # fmt: skip


def gone(name: str) -> Translation:
    """An entry that is no longer in force, by its object's name: that says all that it matched."""
    kind, family, rest = name.split("/", 2)
    if kind != "dnat":
        source, link = (text.replace("*", "") for text in rest.split(",", 1))
        return Translation(cast(Literal["snat", "masquerade"], kind), False, True, FAMILIES[family], source, link)
    protocol, rest = rest.split("/", 1)
    ports, destination, link = rest.split(",", 2)
    return Translation(
        "dnat", False, True, FAMILIES[family], "", link.replace("*", ""), "",
        PROTOCOLS[protocol], _span(ports), None, destination.replace("*", ""),
    )  # fmt: skip


def _span(ports: str) -> tuple[int, int]:
    first, _, last = ports.partition("-")
    return int(first), int(last or first)
