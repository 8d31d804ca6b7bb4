"""A tree for a terminal: namespaces, in them bridges with their ports and links with what they carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .marks import HOST_TITLE, Document, Edge, Node, by_box, facts, mark

#: Edges from what is below in the tree to what is above it.
UPWARD = ("port", "dev")


class Line(NamedTuple):
    """One line: the ``lead`` of the tree, the name, what is known of it, and a problem with its ``state``."""

    lead: str
    name: str
    text: str
    state: str = "ok"
    mark: str = ""


class Tree:
    """The lines of a graph."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes: dict[str, Node] = {node["id"]: node for node in document["nodes"]}
        self._below: dict[str, list[str]] = {}
        self._above: dict[str, str] = {}
        self._beside: dict[str, list[str]] = {}
        self._nat: dict[str, list[Edge]] = {}
        for edge in document["edges"]:
            self._place(edge)

    def _place(self, edge: Edge) -> None:
        begin, end, kind = edge["from"], edge["to"], edge["kind"]
        if kind in UPWARD and begin not in self._above and self._same_box(begin, end):
            self._above[begin] = end
            self._below.setdefault(end, []).append(begin)
        elif kind == "nat":
            self._nat.setdefault(edge["namespace"], []).append(edge)
        elif kind == "pair":
            self._beside.setdefault(begin, []).append(f"<-> {end}")
            self._beside.setdefault(end, []).append(f"<-> {begin}")
        elif kind == "tunnel":
            there = f" ({edge['to']})" if edge["to"] != edge["text"] else ""
            self._beside.setdefault(begin, []).append(f"-> {edge['text']}{there}")
        else:
            self._beside.setdefault(begin, []).append(f"{'port of' if kind == 'port' else 'on'} {end}")

    def _same_box(self, begin: str, end: str) -> bool:
        one, other = self._nodes.get(begin), self._nodes.get(end)
        return one is not None and other is not None and one["namespace"] == other["namespace"]

    def lines(self) -> Iterator[Line]:
        """All of it."""
        for box, nodes in by_box(self._document):
            title = box["name"] or HOST_TITLE
            yield Line("", title, "" if nodes or box["name"] in self._nat else "empty", box["state"], mark(box))
            roots = [node["id"] for node in nodes if node["id"] not in self._above]
            nat = self._nat.get(box["name"], [])
            for number, root in enumerate(roots):
                yield from self._branch(root, "", number == len(roots) - 1 and not nat)
            for number, edge in enumerate(nat):
                last = number == len(nat) - 1
                yield Line("└─ " if last else "├─ ", "nat", nat_text(edge), edge["state"], mark(edge))

    def _branch(self, name: str, lead: str, last: bool) -> Iterator[Line]:
        node = self._nodes[name]
        beside = self._beside.get(name, [])
        text = "  ".join([" ".join(facts(node)), *beside])
        yield Line(f"{lead}{'└─ ' if last else '├─ '}", node["name"], text, node["state"], mark(node))
        below = self._below.get(name, [])
        for number, each in enumerate(below):
            yield from self._branch(each, lead + ("   " if last else "│  "), number == len(below) - 1)


def nat_text(edge: Edge) -> str:
    """ "dnat tcp 8083 to 192.168.1.204:80 (ns204:veth0)"."""
    text: str = edge["text"]
    target = " to " in text and edge["to"] not in text
    return f"{text} ({edge['to']})" if text.startswith("dnat ") and target else text
