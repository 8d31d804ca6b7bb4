"""Which nodes of a graph a NAME means."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from netd.errors import UsageError
from netd.model.key import parse_key

#: What the host's own links are called as a whole, where no namespace has that name.
HOST_WORD = "host"


def chosen_nodes(names: Sequence[str], document: Mapping[str, Any]) -> set[str]:
    """The nodes that these names mean. UsageError for a name that means none."""
    found: set[str] = set()
    for name in names:
        meant = {node["id"] for node in document["nodes"] if node_is(name, node, document)}
        if not meant and name not in {box["name"] for box in document["namespaces"]}:
            raise UsageError(f"there is no namespace or link '{name}'{suggestion(name, document)}")
        found |= meant
    return found


def node_is(name: str, node: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a name means a node: by itself, its namespace, or as an object ("ns:veth/eth0")."""
    if name == node["id"] or (name and name == node["namespace"]):
        return True
    if name in ("", HOST_WORD) and node["namespace"] == "":
        return name == "" or not any(box["name"] == HOST_WORD for box in document["namespaces"])
    try:
        key = parse_key(name)
    except ValueError:
        return False
    if key.is_namespace:
        return bool(node["namespace"] == key.name)
    return bool(node["namespace"] == key.netns and key.name.partition("/")[0] == node["name"])


def suggestion(name: str, document: Mapping[str, Any]) -> str:
    """ ": did you mean 'ns204:veth0'?"; or how to list the names."""
    known = {node["id"]: node["id"] for node in document["nodes"]}
    by_link = {node["name"]: node["id"] for node in reversed(document["nodes"])}
    spaces = {box["name"]: box["name"] for box in document["namespaces"] if box["name"]}
    close = difflib.get_close_matches(name, {**by_link, **known, **spaces}, n=1, cutoff=0.6)
    if not close:
        return ": 'netd graph' shows them all"
    return f": did you mean '{({**by_link, **known, **spaces})[close[0]]}'?"
