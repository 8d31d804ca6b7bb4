"""``netd graph``: the topology as it is, and what differs from the files. Exit: 0."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from netd.report.status import ask
from netd.topology.drawing.dot import dot
from netd.topology.drawing.mermaid import mermaid
from netd.topology.drawing.svg import svg
from netd.topology.graph import GraphBuilder, narrowed

from .look import PATIENCE, look
from .view.selection import chosen_nodes
from .view.style import has_color
from .view.tree import tree_lines

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before everything was read; nothing was changed"
DRAWINGS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "text": lambda document: tree_lines(document, has_color(sys.stdout)),
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "json": lambda document: [json.dumps(document, indent=2)],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd graph``."""
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help="only these and what they are connected to: a namespace, a link ([NAMESPACE:]LINK), an object",
    )
    parser.add_argument(
        "--format",
        choices=tuple(DRAWINGS),
        default="text",
        help="text (a tree, the default), mermaid, dot, svg, json",
    )
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")


def run(options: argparse.Namespace) -> int:
    """Prints the graph."""
    document = graph(options)
    if options.names:
        document = narrowed(document, chosen_nodes(options.names, document))
    for line in DRAWINGS[options.format](document):
        print(line)
    return 0


def graph(options: argparse.Namespace) -> dict[str, Any]:
    """The whole graph, as JSON values: of the kernel for root, for others as the daemon knows it."""
    if os.geteuid() != 0:
        return ask(options.state_dir, {"verb": "graph"}, timeout=PATIENCE)
    with look(options) as found:
        builder = GraphBuilder(found.topology, found.declaration)
        for _ in builder.steps():
            pass
        return builder.document
