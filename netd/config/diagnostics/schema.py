"""Which tables a file can have: those of the kinds, at the top level and in every namespace."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from netd.config.checks.table import CHECKS
from netd.kinds import registry
from netd.kinds.base.kind import Kind, TomlForm
from netd.kinds.base.options import Table, fields_of, option
from netd.kinds.base.values import UnicastAddress
from netd.model.key import NAMESPACE_KIND

from .positions import TomlPath
from .problem import LONGEST_NAME, shortened

#: The table of a namespace. Only this one and that of a host contain other tables.
NAMESPACE = NAMESPACE_KIND
HOSTS = "host"
#: The variables of a file: they are used up before its tables are read.
VARS = "vars"
BARE = re.compile(r"[A-Za-z0-9_-]+")


class HostTable(Table):
    """What one machine has besides what all have: everything that is allowed at the top level is allowed here."""

    address: UnicastAddress | None = option("address at which the other hosts reach this host", default=None)


@functools.cache
def layout() -> Mapping[str, Kind]:
    """All tables by their TOML keys, those of namespaces and checks included."""
    return {kind.name: kind for kind in (*registry().values(), CHECKS) if kind.toml is not None}


def form_of(kind: Kind) -> TomlForm:
    """How the tables of a kind are written; only for kinds that have one."""
    assert kind.toml is not None, kind.name
    return kind.toml


@functools.cache
def outer() -> Mapping[str, Kind | None]:
    """The keys that are allowed at the top level, with that of hosts (which are not a kind)."""
    return {**layout(), HOSTS: None}


@functools.cache
def inner() -> Mapping[str, Kind]:
    """The keys that are allowed in a namespace: everything but a namespace."""
    return {key: kind for key, kind in layout().items() if key != NAMESPACE}


def object_length(path: TomlPath) -> int:
    """How many parts of ``path`` name its table (the index of an array's element is one)."""
    start = 2 if path[:1] == (HOSTS,) else 0
    start += 2 if path[start : start + 1] == (NAMESPACE,) else 0
    kind = inner().get(str(path[start])) if len(path) > start else None
    if kind is None:
        return min(start, len(path))
    if form_of(kind).form != "single":
        return min(start + 2, len(path))
    elements = [number for number, part in enumerate(path) if isinstance(part, int)]
    return elements[0] + 1 if elements else start + 1


def dotted(path: TomlPath) -> str:
    """A path as it is written: quoted where it must be, without indexes."""
    parts = [shortened(part, LONGEST_NAME) for part in path if isinstance(part, str)]
    return ".".join(part if BARE.fullmatch(part) else '"' + part.replace('"', '\\"') + '"' for part in parts)


def titled(path: TomlPath, message: str) -> str:
    """``message`` behind the name of the object, and of the key in it: "vxlan.vxlan0: peer.mtu: ..."."""
    length = object_length(path)
    parts = [dotted(path[:length]), dotted(path[length:]), message]
    return ": ".join(part for part in parts if part)


def space_keys() -> frozenset[str]:
    """The keys that the table of a namespace can have: its own, and those of the tables in it."""
    return _keys(form_of(layout()[NAMESPACE]).model) | inner().keys()


def host_keys() -> frozenset[str]:
    """The keys that the table of a host can have."""
    return _keys(HostTable) | layout().keys()


def _keys(table: type[Table]) -> frozenset[str]:
    return frozenset(fields_of(table))


def known_keys(kind: Kind) -> frozenset[str]:
    """The keys that a kind's table can have."""
    form = form_of(kind)
    return space_keys() if form.form == "container" else _keys(form.model)
