"""What a kind of object is to the engine. A new kind is one file in this folder that defines one subclass.

A kind does no I/O: it declares objects from its TOML table, reads them out of the mirror (``View``), and answers with
operations (values) that create, change and delete them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from netd.kinds.link.carry_over import others_back
from netd.model.change import FieldDiff, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.dirty import Topic
from netd.model.key import Key, LinkName
from netd.model.state import Link

#: The kernel makes it in every namespace.
LOOPBACK = "lo"


class Table(BaseModel):
    """A TOML table: frozen, unknown keys are mistakes, "1" is not 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Place(NamedTuple):
    """Where a table stands: the namespace ("" is the host), the object's name, and the file and path."""

    netns: str
    name: str
    origin: Origin

    def at(self, *more: str | int) -> Origin:
        """The origin of a key below this table."""
        return Origin(self.origin.file, (*self.origin.path, *more))


class Room(NamedTuple):
    """The MTU that a link has, or will have once it is as declared, less ``headers`` bytes."""

    link: LinkName
    headers: int


class Kind:
    """The base of all kinds; ``netd.kinds.registry()`` finds them."""

    #: The kind's name in keys ("veth").
    name: ClassVar[str]
    #: The model of its table; None: declared by other tables only.
    table: ClassVar[type[Table] | None] = None
    #: The TOML key of its table ("veth" for [veth.NAME]).
    toml: ClassVar[str] = ""
    #: "named": tables by name ([veth.NAME]); "array": an array of tables ([[route]]); "single": one table ([sysctl]).
    form: ClassVar[Literal["named", "array", "single"]] = "named"
    #: Fields that cannot change in place: a difference means making it again.
    immutable: ClassVar[frozenset[str]] = frozenset()
    #: True: all objects of a namespace are written at once, by ``write_all``.
    together: ClassVar[bool] = False
    #: Arrays of its table whose entries match in the order in which they stand in the file, across these arrays.
    interleaved: ClassVar[frozenset[str]] = frozenset()
    #: True: it cannot be there before netd makes it (an equal one is netd's own, not adopted).
    always_own: ClassVar[bool] = False
    #: True: its objects are links, which others hang on.
    makes_links: ClassVar[bool] = False
    #: True: the kernel keeps netd's mark on it, and nothing ordinary takes it away.
    has_mark: ClassVar[bool] = False
    #: Kinds whose loss takes it away too: made again with them, it is a consequence and no repair of its own.
    follows: ClassVar[frozenset[str]] = frozenset()
    #: True: its objects are rules among those of other tools: also of legacy iptables, which tells of no change.
    foreign_rules: ClassVar[bool] = False
    #: True: what several tables of one file declare alike is one object, as it is of several files.
    shared: ClassVar[bool] = False
    #: Fields that nobody writes and that are always the same on a sound object: told only when they are wrong.
    guards: ClassVar[frozenset[str]] = frozenset()
    #: True: a value of something else: it is written and put back, never made or deleted.
    setting: ClassVar[bool] = False
    #: Fields that hold it where it is: where one of them is put back, all are.
    anchors: ClassVar[frozenset[str]] = frozenset()
    #: True: netd never makes it, it waits until it is there.
    foreign: ClassVar[bool] = False

    def declare(self, table: Any, place: Place) -> Iterable[Desired]:
        """The objects that one table declares (a link's addresses and routes are objects too)."""
        raise NotImplementedError

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """Mistakes that only two objects together make: (the later one, the earlier one, what is wrong)."""
        return ()

    def arrange(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        """For ``together``: the objects of one namespace, of all files and in their order, each told of its place."""
        return desired

    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        """``desired`` with the ``addresses`` of its ``hosts``; None: it leads to none of them.

        ``own`` is the address of this machine. ValueError where they do not fit together.
        """
        return desired

    def observe(
        self, key: Key, data: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        """The object as the mirror has it, None where it is not there.

        Works from ``key`` and ``data`` alone. ``identity`` is the ledger's, of the one that netd made: by it a link
        is found that was renamed, and what hangs on one.
        """
        raise NotImplementedError

    def place(self, key: Key, data: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        """The identity that it will have when it is made now, where that is known beforehand: that of its place."""
        return None

    def topics(self, key: Key, data: Mapping[str, Any]) -> Iterable[Topic]:
        """What it is read from, so what events concern it."""
        raise NotImplementedError

    def understand(self, key: Key, data: Mapping[str, Any]) -> None:
        """Looks through what the ledger says; an error (LookupError, TypeError, ValueError) where it makes no sense.

        Another netd may have written it.
        """
        tuple(self.topics(key, data))

    def renamed_in(self, data: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
        """``data`` with the new ``names`` of namespaces that it speaks of."""
        return data

    def remark(self, desired: Desired, view: View) -> str:
        """Why what it ``hears`` may not come in although it is right itself, in words; "" for nothing."""
        return ""

    def own(self, desired: Desired) -> Mapping[str, Any]:
        """Fields that are kept on an object that netd made, although nobody writes them (its mark, its name)."""
        return {}

    def without(self, desired: Desired, missing: Set[LinkName]) -> Mapping[str, Any]:
        """The fields that can be had while these of ``wants`` are not there."""
        return desired.fields

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        """Makes it. ``memory``: what the ledger remembers of an earlier one (``remember``)."""
        raise NotImplementedError

    def along(self, key: Key, value: Any, links: Iterable[str]) -> Mapping[str, str]:
        """For ``setting``: what the kernel makes of other values below /proc/sys when this one becomes ``value``.

        Those that are otherwise before netd's first write are put back after it (``restore``). ``links``: of others.
        """
        return {}

    def changed_with(self, key: Key) -> tuple[Key, str] | None:
        """For ``setting``: the object with which the kernel changes this one, and how ``along`` calls this one."""
        return None

    def remember(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is chosen once and kept (MACs), before the object is made for the first time."""
        return {}

    def change(
        self, key: Key, data: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        """Sets these fields in place, and no others."""
        raise NotImplementedError

    def delete(self, key: Key, data: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        """Takes away what was observed (netd's own, or a wrong one in its place). Phases are those of its creation."""
        raise NotImplementedError

    def restore(self, key: Key, data: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        """Puts back what gave way (``Observed.foreign``) when ours goes; on a link (``makes_links``) when it came."""
        return tuple(others_back(foreign, view)) if self.makes_links else ()

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        """Objects of this kind that carry netd's mark, with their data: those that nobody knows are orphans."""
        return ()

    def write_all(self, netns: str, desired: Sequence[Desired], view: View) -> Sequence[Step]:
        """For ``together``: makes all objects of a namespace so; none of them left: removes what holds them.

        Those without an origin are declared no more, but are not to go now: they stay where they stand.
        """
        raise NotImplementedError

    def fixed(self, differing: Mapping[str, FieldDiff]) -> Set[str]:
        """Those of these fields that cannot be changed in place."""
        return self.immutable & set(differing)

    def leaves(self, data: Mapping[str, Any]) -> bool:
        """Whether it has to be out of its namespace before that one is deleted: it would die with it."""
        return False

    def lapsed(self, key: Key, data: Mapping[str, Any], field: str, wrote: Any, have: Any, view: View) -> bool:
        """Whether a value is another than netd wrote only because what it named is gone."""
        return False

    def put_back(self, key: Key, data: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        """What was found before netd wrote it, as it can be had now; None: leave it."""
        return found

    def default(self, key: Key, data: Mapping[str, Any], field: str, view: View) -> Any:
        """The kernel's default of a field on an object that netd made; None: leave it.

        A Key: what the field of that name of another object is, or will be where that one is to change; or a Room.
        """
        return None


def on_link(link: LinkName, view: View) -> Mapping[str, Any] | None:
    """The identity of what hangs on a link: the namespace's and the link's."""
    found = view.link(*link)
    return None if found is None else {"cookie": view.cookie(link.netns), "index": found.index}


def renamed(link: LinkName, identity: Mapping[str, Any], view: View) -> Link | None:
    """The link that had that name when netd knew it by this ``identity``, else the one that has it now."""
    known: Link | None = None
    if identity and identity.get("cookie") == view.cookie(link.netns):
        known = view.link_at(link.netns, int(identity.get("index", 0)))
    return known or view.link(*link)
