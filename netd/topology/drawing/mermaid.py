"""Mermaid (flowchart): for Markdown that shows it, such as issues and wikis."""

from __future__ import annotations

from collections.abc import Iterator

from .marks import HOST_TITLE, Document, Edge, Node, by_box, edge_mark, facts, mark, numbered, outside, weight

ARROWS = {"pair": "<-->", "port": "---", "dev": "-->", "tunnel": "-.->", "nat": "==>"}
#: The classes of nodes by ``weight``.
CLASSES = ("", "waits", "wrong")


def mermaid(document: Document) -> Iterator[str]:
    """The lines of a flowchart."""
    names = numbered(document)
    yield "flowchart LR"
    for number, (box, nodes) in enumerate(by_box(document)):
        said = mark(box)
        yield f"  subgraph s{number}[{quoted(box['name'] or HOST_TITLE, *([said] if said else []))}]"
        for node in nodes:
            yield f"    {_node(node, names)}"
        yield "  end"
    for node in outside(document):
        yield f"  {_node(node, names)}"
    for edge in document["edges"]:
        if edge["from"] in names and edge["to"] in names:
            yield f"  {_edge(edge, names)}"
    yield "  classDef waits stroke:#b58900,stroke-width:2px"
    yield "  classDef wrong stroke:#c00,stroke-width:3px"


def _node(node: Node, names: dict[str, str]) -> str:
    shape = "([{}])" if node["namespace"] is None else "[{}]"
    said = mark(node)
    text = quoted(node["name"], *facts(node), *([said] if said else []))
    chosen = CLASSES[weight(node["state"])]
    return names[node["id"]] + shape.format(text) + (f":::{chosen}" if chosen else "")


def _edge(edge: Edge, names: dict[str, str]) -> str:
    text = edge["text"] + (f" ({edge['state']})" if edge_mark(edge) else "")
    label = f"|{quoted(text)}|" if text and edge["kind"] == "nat" else ""
    return f"{names[edge['from']]} {ARROWS[edge['kind']]}{label} {names[edge['to']]}"


def quoted(*lines: str) -> str:
    """Lines as one quoted text; what Mermaid reads as its own is written as entities."""
    safe = (
        line.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;") for line in lines
    )
    return f'"{"<br>".join(safe)}"'
