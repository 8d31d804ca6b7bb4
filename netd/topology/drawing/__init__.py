"""A graph (``topology.graph``) as text: a tree for a terminal, Mermaid, Graphviz, SVG. Each is a function of it."""
