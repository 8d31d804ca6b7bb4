"""How a node is described, and what about it deserves attention; the same in every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
Node = Mapping[str, Any]
Edge = Mapping[str, Any]
#: The MTU of Ethernet, which is not worth a word.
ORDINARY_MTU = 1500
#: States that are not worth a word.
QUIET = frozenset({"ok", "foreign"})
#: How much attention a state deserves: 0 none, 1 waits, 2 wrong.
WEIGHT = {"ok": 0, "foreign": 0, "orphan": 1, "pending": 1, "surplus": 1}
HOST_TITLE = "(host)"


def weight(state: str) -> int:
    """0 to 2."""
    return WEIGHT.get(state, 2)


def mark(node: Mapping[str, Any]) -> str:
    """ "differs: mtu is 1500, declared 1400"; "" for what is as it should be."""
    if node["state"] in QUIET:
        return ""
    return f"{node['state']}: {node['reason']}" if node["reason"] else str(node["state"])


def facts(node: Node) -> list[str]:
    """Its kind, what tells it apart, its addresses but link-local ones, an unusual MTU, and whether it is down."""
    found = [
        str(node["kind"]),
        str(node["text"]),
        *(each for each in node["addresses"] if not each.startswith("fe80:")),
    ]
    if node["mtu"] and node["mtu"] != ORDINARY_MTU and node["kind"] != "loopback":
        found.append(f"mtu {node['mtu']}")
    if not node["up"]:
        found.append("down")
    elif not node["running"] and node["kind"] != "loopback":
        found.append("no carrier")
    return [each for each in found if each]


def by_box(document: Document) -> list[tuple[Mapping[str, Any], Sequence[Node]]]:
    """Each namespace with its nodes."""
    found: dict[str | None, list[Node]] = {}
    for node in document["nodes"]:
        found.setdefault(node["namespace"], []).append(node)
    return [(box, found.get(box["name"], [])) for box in document["namespaces"]]


def outside(document: Document) -> Iterable[Node]:
    """The nodes that are on no namespace of this machine."""
    return [node for node in document["nodes"] if node["namespace"] is None]


def numbered(document: Document) -> dict[str, str]:
    """A plain identifier for each node, for languages in which names cannot have every character."""
    return {node["id"]: f"n{number}" for number, node in enumerate(document["nodes"])}


def edge_mark(edge: Edge) -> bool:
    """Whether an edge is of something that is not as it should be."""
    return edge.get("state", "ok") not in QUIET
