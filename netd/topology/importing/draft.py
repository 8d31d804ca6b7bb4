"""The tables that are being written, and what cannot be said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netd.kinds.base.options import Table
from netd.kinds.base.reading import read
from netd.model.key import HOST

from .toml import table_lines


class Entry(NamedTuple):
    """One table: its path below its namespace, and its values. ``array``: one of [[...]]; ``dotted``: its keys are."""

    path: tuple[str, ...]
    values: Mapping[str, Any]
    array: bool = False
    dotted: bool = False


@dataclass
class Section:
    """What one namespace has. ``own``: keys of the table [namespace.NAME] itself."""

    own: dict[str, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Draft:
    """``names``: the namespaces, the host first."""

    def __init__(self, names: Sequence[str]) -> None:
        self.sections = {name: Section() for name in names}

    def add(
        self, netns: str, model: type[Table], path: tuple[str, ...], values: Mapping[str, Any], **more: Any
    ) -> bool:
        """Adds a table, if netd would read it; else says why not."""
        found = read(model, dict(values))
        if isinstance(found, list):
            where = ".".join(map(str, (*path, *found[0].path)))
            self.note(netns, f"{where}: {found[0].text}")
            return False
        self.sections[netns].entries.append(Entry(path, values, **more))
        return True

    def note(self, netns: str, text: str) -> None:
        """Something that no table can say, with its reason."""
        notes = self.sections[netns].notes
        if text not in notes:
            notes.append(text)

    def lines(self) -> Iterator[str]:
        """All of it as TOML."""
        for netns, section in self.sections.items():
            prefix = ("namespace", netns) if netns != HOST else ()
            if section.own or (netns != HOST and not section.entries):
                yield from (*table_lines(prefix, section.own), "")
            for entry in section.entries:
                path = prefix + entry.path
                yield from (*table_lines(path, entry.values, array=entry.array, dotted=entry.dotted), "")
            if section.notes:
                yield f"# Not said above, of {f'namespace {netns}' if netns else 'the host'}:"
                yield from (f"#   {line}" for note in section.notes for line in note.splitlines())
                yield ""
