"""What a NAME on the command line refers to: an object, a link, a namespace or a file; and suggestions."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netd.errors import UsageError
from netd.model.key import parse_key

#: One object, as ``netd status --json`` has it.
ObjectRow = Mapping[str, Any]
#: What ``listed`` can list.
LISTS = ("objects", "links", "namespaces", "files", "names")
#: Suggestions that one message names.
MOST = 3


def selected(names: Sequence[str], rows: Sequence[ObjectRow], files: Iterable[str]) -> list[ObjectRow]:
    """The objects that these names mean, in the order of the files. UsageError for a name that means none."""
    found: set[str] = set()
    paths = list(files)
    for name in names:
        meant = {row["object"] for row in rows if means(name, row)}
        if not meant and not any(is_file(name, path) for path in paths):
            raise UsageError(f"netd has nothing called '{name}'{suggestion(name, rows, paths)}")
        found |= meant
    return [row for row in rows if row["object"] in found]


def means(name: str, row: ObjectRow) -> bool:
    """Whether a name means this object: by itself, by its namespace, by its file, or as a part of this link."""
    if name in (row["object"], row["namespace"]) and name:
        return True
    if is_file(name, row["file"]) or (row["kind"], row["name"]) == ("namespace", name):
        return True
    if name in row.get("links", ()):
        return True
    netns, _, link = name.rpartition(":")
    return bool(link) and row["namespace"] == netns and link in (row["name"], link_of(row))


def link_of(row: ObjectRow) -> str:
    """The link that an object belongs to: of address/eth0/10.0.0.1/24 "eth0"; "" for most other kinds."""
    kinds = ("address", "neighbor", "fdb", "forward", "qdisc")
    return str(row["name"]).partition("/")[0] if row["kind"] in kinds else ""


def row_of(name: str, file: str) -> ObjectRow:
    """What ``means`` asks of an object, from its name ("": none) and file alone."""
    if not name:
        return {"object": "", "kind": "", "namespace": "", "name": "", "file": file}
    key = parse_key(name)
    return {"object": name, "kind": key.kind, "namespace": key.netns, "name": key.name, "file": file}


def is_file(name: str, path: str) -> bool:
    """Whether a name means a file: its path, or the last part of it."""
    if not path or name == os.path.basename(path):
        return bool(path)
    # The current directory may have been removed.
    with contextlib.suppress(OSError):
        return os.path.abspath(name) == path
    return name == path


def listed(reply: Mapping[str, Any], what: str) -> list[str]:
    """All names of one of LISTS, each once; "names" are all that ``selected`` takes."""
    rows: Sequence[ObjectRow] = reply["objects"]
    found = {
        "objects": [row["object"] for row in rows],
        "links": [link for row in rows for link in row.get("links", ())],
        "namespaces": [row["name"] for row in rows if row["kind"] == "namespace"],
        "files": [each["path"] for each in reply["files"]],
    }
    names = [name for each in found.values() for name in each] if what == "names" else found[what]
    return list(dict.fromkeys(names))


def suggestion(name: str, rows: Iterable[ObjectRow], files: Iterable[str] = ()) -> str:
    """ ": did you mean 'bridge/brx'?"; or the command that lists the names."""
    rows = list(rows)
    exact = [row["object"] for row in rows if means(name, row) and (row["namespace"] != name or ":" in name)]
    known = {row["object"] for row in rows} | {row["namespace"] for row in rows if row["namespace"]}
    known |= {os.path.basename(path) for path in files}
    by_end = {str(row["name"]): row["object"] for row in reversed(rows) if "/" not in row["name"]}
    close = [by_end.get(each, each) for each in difflib.get_close_matches(name, {*known, *by_end}, n=1, cutoff=0.6)]
    chosen = list(dict.fromkeys(exact or close))[:MOST]
    if not chosen:
        return ": 'netd status --all' lists the names"
    return f": did you mean {' or '.join(repr(each) for each in chosen)}?"
