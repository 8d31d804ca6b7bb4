"""What a kind of object is to the engine. A new kind is one file in this folder that defines one subclass.

A kind does no I/O: it declares objects from its TOML table, reads them out of the mirror (``View``), and answers with
operations (values) that create, change and delete them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

from netd.kinds.link.carry_over import restore_steps
from netd.model.change import FieldDiff, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.state import Link
from netd.model.status import Unusable

from .options import Table

#: The kernel makes it in every namespace.
LOOPBACK = "lo"


class TableContext(NamedTuple):
    """Where a table stands: the namespace ("" is the host), the object's name, and the file and path."""

    netns: str
    name: str
    origin: Origin

    def at(self, *more: str | int) -> Origin:
        """The origin of a key below this table."""
        return Origin(self.origin.file, (*self.origin.path, *more))


class MtuLimit(NamedTuple):
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
    batched: ClassVar[bool] = False
    #: Arrays of its table whose entries match in the order in which they stand in the file, across these arrays.
    ordered_arrays: ClassVar[frozenset[str]] = frozenset()
    #: True: it cannot be there before netd makes it (an equal one is netd's own, not adopted).
    never_adopted: ClassVar[bool] = False
    #: True: its objects are links, which others hang on.
    provides_links: ClassVar[bool] = False
    #: True: the kernel keeps netd's mark on it, and nothing ordinary takes it away.
    has_mark: ClassVar[bool] = False
    #: Kinds whose loss takes it away too: made again with them, it is a consequence and no repair of its own.
    lost_with: ClassVar[frozenset[str]] = frozenset()
    #: True: its objects are rules among those of other tools: also of legacy iptables, which tells of no change.
    in_foreign_chains: ClassVar[bool] = False
    #: True: what several tables of one file declare alike is one object, as it is of several files.
    mergeable: ClassVar[bool] = False
    #: Fields that nobody writes and that are always the same on a sound object: told only when they are wrong.
    guard_fields: ClassVar[frozenset[str]] = frozenset()
    #: True: a value of something else: it is written and put back, never made or deleted.
    is_setting: ClassVar[bool] = False
    #: Fields that hold it where it is: where one of them is put back, all are.
    placement_fields: ClassVar[frozenset[str]] = frozenset()
    #: Fields that are chosen once, and kept although nobody writes them (MACs): ``remember``.
    remembered: ClassVar[frozenset[str]] = frozenset()
    #: True: netd never makes it, it waits until it is there.
    is_foreign: ClassVar[bool] = False

    def declare(self, table: Any, context: TableContext) -> Iterable[Desired]:
        """The objects that one table declares (a link's addresses and routes are objects too)."""
        raise NotImplementedError

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """Mistakes that only two objects together make: (the later one, the earlier one, what is wrong)."""
        return ()

    def arranged(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        """For ``batched``: the objects of one namespace, of all files and in their order, each told of its place."""
        return desired

    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        """``desired`` with the ``addresses`` of its ``hosts``; None: it leads to none of them.

        ``own`` is the address of this machine. ValueError where they do not fit together.
        """
        return desired

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        """The object as the mirror has it, None where it is not there.

        Works from ``key`` and ``locator`` alone. ``identity`` is the ledger's, of the one that netd made: by it a link
        is found that was renamed, and what hangs on one.
        """
        raise NotImplementedError

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        """The identity that it will have when it is made now, where that is known beforehand: that of its place."""
        return None

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        """What it is read from, so what events concern it."""
        raise NotImplementedError

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        """Looks through what the ledger says; an error (LookupError, TypeError, ValueError) where it makes no sense.

        Another netd may have written it.
        """
        tuple(self.watch_keys(key, locator))

    def with_renamed_namespaces(self, locator: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
        """``locator`` with the new ``names`` of namespaces that it speaks of."""
        return locator

    def missing_ingress(self, desired: Desired, view: View) -> str:
        """Why a packet of its ``required_ingress`` may not come in, in words; "" where all come in."""
        return ""

    def unusable(self, desired: Desired, observed: Observed, view: View) -> Unusable | None:
        """Why it cannot be used although it is as declared; None where it can."""
        return None

    def refused_until(self, desired: Desired, view: View) -> Unusable | None:
        """What the kernel refuses it for only as long as something else is not usable; None: for another reason."""
        return None

    def announced(self, key: Key) -> tuple[LinkName, str] | None:
        """The link and the address that its segment is told of once it is usable; None: nothing is told."""
        return None

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fields that are kept on an object that netd made, although nobody writes them (its mark, its name)."""
        return {}

    def reduced(self, desired: Desired, missing: Set[LinkName]) -> Mapping[str, Any]:
        """The fields that can be had while these links of ``after`` do not exist."""
        return desired.fields

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        """Makes it. ``memory``: what the ledger remembers of an earlier one (``remember``)."""
        raise NotImplementedError

    def side_effects(self, key: Key, value: Any, links: Iterable[str]) -> Mapping[str, str]:
        """For ``is_setting``: what the kernel makes of other values below /proc/sys when this one becomes ``value``.

        Those that are otherwise before netd's first write are put back after it (``restore``). ``links``: of others.
        """
        return {}

    def changed_by(self, key: Key) -> tuple[Key, str] | None:
        """For ``is_setting``: the object with which the kernel changes this one, and its name in ``side_effects``."""
        return None

    def remember(self, desired: Desired, memory: Mapping[str, Any], key: bytes) -> Mapping[str, Any]:
        """What is chosen once and kept (MACs), before the object is made for the first time.

        ``key`` is this machine's own, the same after a reboot; b"" where there is none.
        """
        return {}

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        """Sets these fields in place, and no others."""
        raise NotImplementedError

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        """Takes away what was observed (netd's own, or a wrong one in its place). Phases are those of its creation."""
        raise NotImplementedError

    def restore(self, key: Key, locator: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        """Restores what was displaced when ours is removed; on a link (``provides_links``) when it was created."""
        return tuple(restore_steps(foreign, view)) if self.provides_links else ()

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        """Objects of this kind that carry netd's mark, with their data: those that nobody knows are orphans."""
        return ()

    def write_all(self, netns: str, desired: Sequence[Desired], view: View) -> Sequence[Step]:
        """For ``batched``: makes all objects of a namespace so; none of them left: removes what holds them.

        Those without an origin are declared no more, but are not to go now: they stay where they stand.
        """
        raise NotImplementedError

    def immutable_changes(self, differing: Mapping[str, FieldDiff]) -> Set[str]:
        """Those of these fields that cannot be changed in place."""
        return self.immutable & set(differing)

    def must_leave_namespace(self, locator: Mapping[str, Any]) -> bool:
        """Whether it has to be out of its namespace before that one is deleted: it would die with it."""
        return False

    def lost_referent(
        self, key: Key, locator: Mapping[str, Any], field: str, wrote: Any, have: Any, view: View
    ) -> bool:
        """Whether a value is another than netd wrote only because what it named is gone."""
        return False

    def put_back(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        """What was found before netd wrote it, as it can be had now; None: leave it."""
        return found

    def default(self, key: Key, locator: Mapping[str, Any], field: str, view: View) -> Any:
        """The kernel's default of a field on an object that netd made; None: leave it.

        A Key: what the field of that name of another object is, or will be where that one is to change; or a Room.
        """
        return None


def link_identity(link: LinkName, view: View) -> Mapping[str, Any] | None:
    """The identity of what hangs on a link: the namespace's and the link's."""
    found = view.link(*link)
    return None if found is None else {"cookie": view.cookie(link.netns), "index": found.index}


def link_by_identity(link: LinkName, identity: Mapping[str, Any], view: View) -> Link | None:
    """The link that had that name when netd knew it by this ``identity``, else the one that has it now."""
    known: Link | None = None
    if identity and identity.get("cookie") == view.cookie(link.netns):
        known = view.link_at(link.netns, int(identity.get("index", 0)))
    return known or view.link(*link)
