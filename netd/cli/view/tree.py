"""The tree of ``netd graph`` on a terminal: what is not as it should be has a color."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netd.topology.drawing.marks import weight
from netd.topology.drawing.tree import Tree

from .rows import safe
from .style import colored

#: By ``weight``.
COLORS = ("", "yellow", "red")


def tree_lines(document: Mapping[str, Any], color: bool) -> Iterator[str]:
    """The lines, with colors if they are wanted."""
    for line in Tree(document).lines():
        name = safe(line.name)
        name = colored(name, "bold" if not line.lead else COLORS[weight(line.state)], color)
        said = f"  [{safe(line.mark)}]" if line.mark else ""
        text = f"  {safe(line.text)}" if line.text else ""
        yield f"{colored(line.lead, 'dim', color)}{name}{text}{colored(said, COLORS[weight(line.state)], color)}"
