"""SVG by a layout of its own: what is outside on the left, then the host, then namespaces in columns beside it.

Namespaces are ordered by what they are connected to, so that few edges cross.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from .marks import HOST_TITLE, Document, Edge, Node, by_box, edge_mark, facts, mark, outside, weight

#: Pixels: of a character and a line of text, inside a node, between nodes, inside a box, between boxes.
CHARACTER, LINE, INSET, GAP, PADDING, SPACE = 6.7, 15.0, 7.0, 12.0, 12.0, 70.0
#: Lines longer than this are shortened, in characters.
WIDEST = 48
#: Colors by ``weight``.
COLORS = ("#888", "#d98c00", "#d00")
EDGES = {
    "pair": 'stroke="#456" stroke-width="1.6"', "port": 'stroke="#999"', "dev": 'stroke="#999" stroke-dasharray="2 3"',
    "tunnel": 'stroke="#76b" stroke-dasharray="7 4"', "nat": 'stroke="#28c" stroke-width="1.6"',
}  # fmt: skip
STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-weight:bold}.s{fill:#666}rect{fill:#fff}.b{fill:#f6f6f6;stroke:#bbb}"
    "@media(prefers-color-scheme:dark){text{fill:#eee}.s{fill:#aaa}rect{fill:#222}.b{fill:#181818;stroke:#555}}"
)


@dataclass
class Placed:
    """A node with its lines of text, and where it is."""

    node: Node
    lines: Sequence[str]
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = field(init=False)

    def __post_init__(self) -> None:
        self.height = LINE * len(self.lines) + 2 * INSET


@dataclass
class Box:
    """A namespace with its nodes; ``title`` "" is no box, but what is outside."""

    title: str
    state: str
    nodes: list[Placed]
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0

    def size(self) -> None:
        """As large as what is in it."""
        longest = max((len(line) for each in self.nodes for line in each.lines), default=0)
        longest = max(longest, len(self.title) + 2)
        self.width = longest * CHARACTER + 2 * INSET + 2 * PADDING
        inner = sum(each.height for each in self.nodes) + GAP * max(0, len(self.nodes) - 1)
        self.height = inner + 2 * PADDING + (LINE + GAP if self.title else 0)

    def place(self, x: float, y: float) -> None:
        """Puts it there, with all its nodes."""
        self.x, self.y = x, y
        at = y + PADDING + (LINE + GAP if self.title else 0)
        for each in self.nodes:
            each.x, each.y, each.width = x + PADDING, at, self.width - 2 * PADDING
            at += each.height + GAP


def svg(document: Document) -> Iterator[str]:
    """The lines of an image."""
    boxes = [_box(box, nodes) for box, nodes in by_box(document)]
    beyond = Box("", "ok", [_placed(node) for node in outside(document)])
    _arrange(beyond, boxes, document["edges"])
    chosen = [*([beyond] if beyond.nodes else []), *boxes]
    width = max((box.x + box.width for box in chosen), default=0) + PADDING
    height = max((box.y + box.height for box in chosen), default=0) + PADDING
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    yield f"<style>{STYLE}</style>"
    for box in boxes:
        yield from _box_lines(box)
    known = {each.node["id"]: each for box in chosen for each in box.nodes}
    for edge in document["edges"]:
        if edge["from"] in known and edge["to"] in known:
            yield _edge_line(edge, known[edge["from"]], known[edge["to"]])
    for each in known.values():
        yield from _node_lines(each)
    yield "</svg>"


def _box(box: Mapping[str, Any], nodes: Sequence[Node]) -> Box:
    said = mark(box)
    title = (box["name"] or HOST_TITLE) + (f" ({said})" if said else "")
    return Box(title, box["state"], [_placed(node) for node in nodes])


def _placed(node: Node) -> Placed:
    said = mark(node)
    found = [node["name"], " ".join(facts(node)), *([said] if said else [])]
    return Placed(node, [line if len(line) <= WIDEST else line[: WIDEST - 1] + "…" for line in found])


def _arrange(beyond: Box, boxes: list[Box], edges: Sequence[Edge]) -> None:
    """Columns: outside, host, the namespaces in as many as make the image about as wide as high."""
    for box in (beyond, *boxes):
        box.size()
    x = PADDING
    if beyond.nodes:
        beyond.place(x, PADDING)
        x += beyond.width + SPACE
    host = boxes[:1]
    for box in host:
        box.place(x, PADDING)
        x += box.width + SPACE
    others = _ordered(boxes[1:], host, edges)
    area = sum((box.width + SPACE) * (box.height + GAP) for box in others)
    limit = max(math.sqrt(area), max((box.height for box in (beyond, *host)), default=0))
    y, widest = PADDING, 0.0
    for box in others:
        if y > PADDING and y + box.height > limit:
            x, y, widest = x + widest + SPACE, PADDING, 0.0
        box.place(x, y)
        y, widest = y + box.height + 2 * GAP, max(widest, box.width)


def _ordered(boxes: list[Box], host: Sequence[Box], edges: Sequence[Edge]) -> list[Box]:
    """By the mean height of what they are connected to on the host."""
    heights = {each.node["id"]: each.y for box in host for each in box.nodes}
    found: dict[str, list[float]] = {}
    for edge in edges:
        for one, other in ((edge["from"], edge["to"]), (edge["to"], edge["from"])):
            if other in heights:
                found.setdefault(one, []).append(heights[other])

    def mean(box: Box) -> float:
        known = [height for each in box.nodes for height in found.get(each.node["id"], ())]
        return sum(known) / len(known) if known else math.inf

    return sorted(boxes, key=mean)


def _box_lines(box: Box) -> Iterator[str]:
    color = f' style="stroke:{COLORS[weight(box.state)]}"' if weight(box.state) else ""
    size = f'x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}"'
    yield f'<rect class="b" {size} rx="8"{color}/>'
    yield f'<text class="t" x="{box.x + PADDING:.0f}" y="{box.y + PADDING + LINE - 4:.0f}">{escape(box.title)}</text>'


def _node_lines(each: Placed) -> Iterator[str]:
    color = COLORS[weight(each.node["state"])]
    radius = 14 if each.node["namespace"] is None else 4
    yield (
        f'<rect x="{each.x:.0f}" y="{each.y:.0f}" width="{each.width:.0f}" height="{each.height:.0f}" rx="{radius}" '
        f'stroke="{color}"><title>{escape(each.node["id"])}</title></rect>'
    )
    for number, line in enumerate(each.lines):
        y = each.y + INSET + LINE * (number + 1) - 4
        kind = ' class="t"' if not number else ' class="s"' if number == 1 else f' style="fill:{color}"'
        yield f'<text{kind} x="{each.x + INSET:.0f}" y="{y:.0f}">{escape(line)}</text>'


def _edge_line(edge: Edge, begin: Placed, end: Placed) -> str:
    """A curve between the sides that face each other; in one column it leaves and enters on the right."""
    y1, y2 = begin.y + begin.height / 2, end.y + end.height / 2
    if begin.x < end.x and begin.x + begin.width < end.x:
        x1, x2, bend = begin.x + begin.width, end.x, (end.x - begin.x - begin.width) / 2
        curve = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    elif end.x + end.width < begin.x:
        return _edge_line({**edge}, end, begin)
    else:
        x1, x2 = begin.x + begin.width, end.x + end.width
        bend = 14 + min(50.0, abs(y2 - y1) / 6)
        curve = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 + bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    style = EDGES[edge["kind"]] if not edge_mark(edge) else 'stroke="#d00"'
    text = f"<title>{escape(edge['text'])}</title>" if edge["text"] else ""
    return f'<path fill="none" {style} d="{curve}">{text}</path>'
