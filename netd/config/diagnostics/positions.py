"""Line and column of every key of a TOML text. Needed only for errors, so tree-sitter is imported late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import tomli

if TYPE_CHECKING:
    from tree_sitter import Node

TomlPath = tuple[str | int, ...]

KEYS = ("bare_key", "quoted_key", "dotted_key")
#: Deeper than anybody writes, and far from the interpreter's limit.
DEEPEST = 100


class Position(NamedTuple):
    """``line`` and ``column`` count from 1, ``column`` and ``length`` in characters."""

    line: int
    column: int
    length: int


class Positions:
    """The positions of the keys in one text: dotted, quoted, in headers, inline tables and arrays."""

    def __init__(self, text: str) -> None:
        self._rows = text.encode().split(b"\n")
        self._keys: dict[TomlPath, Position] = {}
        #: Tables by their headers, values by their keys as written, dots and all.
        self._wholes: dict[TomlPath, Position] = {}
        #: How many elements of an array of tables there were so far.
        self._elements: dict[TomlPath, int] = {}
        self._walk(text.encode())

    def at(self, path: TomlPath) -> Position | None:
        """A table by its header, anything else by its key; what is not written by the nearest thing around it."""
        for length in range(len(path), 0, -1):
            found = self._wholes.get(path[:length]) or self._keys.get(path[:length])
            if found is not None:
                return found
        return None

    def name(self, path: TomlPath) -> Position | None:
        """The last part of ``path`` where it is written first, in a header too."""
        return self._keys.get(path) or self.at(path)

    def _walk(self, text: bytes) -> None:
        import tree_sitter
        import tree_sitter_toml

        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        for node in parser.parse(text).root_node.children:
            if node.type == "pair":
                self._pair(node, (), 0)
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def _table(self, node: Node) -> None:
        key = next((child for child in node.children if child.type in KEYS), None)
        if key is None:
            return
        parts = list(_parts(key))
        path: TomlPath = ()
        for number, (name, part) in enumerate(parts):
            path = (*path, name)
            self._keys.setdefault(path, self._position(part))
            if node.type == "table_array_element" and number == len(parts) - 1:
                self._elements[path] = self._elements.get(path, -1) + 1
            if path in self._elements:
                path = (*path, self._elements[path])
        closing = node.children[node.children.index(key) + 1]
        header = self._position(node)._replace(length=closing.end_point[1] - node.start_point[1])
        self._wholes.setdefault(path, header)
        for child in node.children:
            if child.type == "pair":
                self._pair(child, path, 0)

    def _pair(self, node: Node, path: TomlPath, depth: int) -> None:
        if not node.children or node.children[0].type not in KEYS:
            return
        for name, part in _parts(node.children[0]):
            path = (*path, name)
            self._keys.setdefault(path, self._position(part))
        self._wholes.setdefault(path, self._position(node.children[0]))
        self._value(node.children[-1], path, depth + 1)

    def _value(self, node: Node, path: TomlPath, depth: int) -> None:
        if depth > DEEPEST:
            return
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, path, depth)
        elif node.type == "array":
            elements = [child for child in node.children if child.is_named and child.type != "comment"]
            for number, element in enumerate(elements):
                self._keys.setdefault((*path, number), self._position(element))
                self._value(element, (*path, number), depth + 1)

    def _position(self, node: Node) -> Position:
        """tree-sitter counts bytes; a value of several lines is shown by its first."""
        (row, start), (last, end) = node.start_point, node.end_point
        line = self._rows[row]
        shown = line[start:end] if last == row else line[start:]
        return Position(
            row + 1, len(line[:start].decode(errors="replace")) + 1, max(1, len(shown.decode(errors="replace")))
        )


def member(raw: Any, part: str | int) -> Any:
    """What a table or an array holds there; None (which TOML does not have) where it holds nothing."""
    if isinstance(raw, dict):
        return raw.get(part)
    if isinstance(raw, list) and isinstance(part, int) and part < len(raw):
        return raw[part]
    return None


def _parts(key: Node) -> Iterator[tuple[str, Node]]:
    """The parts of a key, each unquoted. A grammar nests dotted keys to the left."""
    if key.type == "dotted_key":
        for child in key.children:
            if child.type in KEYS:
                yield from _parts(child)
    elif key.text is not None:
        text = key.text.decode(errors="replace")
        try:
            name = next(iter(tomli.loads(f"{text} = 0"))) if key.type == "quoted_key" else text
        except ValueError:
            name = text
        yield name, key
