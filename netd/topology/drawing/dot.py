"""Graphviz: ``netd graph --format dot | dot -Tpdf``."""

from __future__ import annotations

from collections.abc import Iterator

from .marks import HOST_TITLE, Document, Edge, Node, by_box, edge_mark, facts, mark, numbered, outside, weight

STYLES = {
    "pair": "dir=both, arrowsize=0.5",
    "port": "dir=none",
    "dev": "arrowsize=0.5, style=dotted",
    "tunnel": "style=dashed",
    "nat": "style=bold, color=steelblue",
}
#: The colors of nodes by ``weight``.
COLORS = ("gray40", "darkorange", "red")


def dot(document: Document) -> Iterator[str]:
    """The lines of a directed graph."""
    names = numbered(document)
    yield "digraph netd {"
    yield '  rankdir=LR; compound=true; node [shape=box, style=rounded, fontname="sans-serif", fontsize=10];'
    yield '  edge [fontname="sans-serif", fontsize=9]; fontname="sans-serif";'
    for number, (box, nodes) in enumerate(by_box(document)):
        said = mark(box)
        label = quoted(box["name"] or HOST_TITLE, *([said] if said else []))
        yield f"  subgraph cluster_{number} {{ label={label}; color={COLORS[weight(box['state'])]};"
        for node in nodes:
            yield f"    {_node(node, names)}"
        if not nodes:
            yield f'    empty_{number} [label="", shape=point, style=invis];'
        yield "  }"
    for node in outside(document):
        yield f"  {_node(node, names)}"
    for edge in document["edges"]:
        if edge["from"] in names and edge["to"] in names:
            yield f"  {_edge(edge, names)}"
    yield "}"


def _node(node: Node, names: dict[str, str]) -> str:
    said = mark(node)
    label = quoted(node["name"], *facts(node), *([said] if said else []))
    shape = ", shape=ellipse" if node["namespace"] is None else ""
    return f"{names[node['id']]} [label={label}, color={COLORS[weight(node['state'])]}{shape}];"


def _edge(edge: Edge, names: dict[str, str]) -> str:
    text = edge["text"] + (f" ({edge['state']})" if edge_mark(edge) else "")
    label = f", label={quoted(text)}" if edge["kind"] == "nat" else ""
    return f"{names[edge['from']]} -> {names[edge['to']]} [{STYLES[edge['kind']]}{label}];"


def quoted(*lines: str) -> str:
    """Lines as one quoted text."""
    safe = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(safe) + '"'
