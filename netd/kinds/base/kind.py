"""The interface of a kind of object to the engine. A new kind is one file in this directory that defines one subclass.

A kind does no I/O: it declares objects from its TOML table, reads them out of the mirror (``View``), and answers with
operations (values) that create, change and delete them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

from netd.model.change import Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.state import Link

from .options import Table

#: The kernel creates it in every namespace.
LOOPBACK = "lo"


class TableContext(NamedTuple):
    """Where a table is: the namespace ("" is the host), the object's name, and the file and path."""

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


class TomlForm(NamedTuple):
    """How the tables of a kind are written in a file; their TOML key is the kind's name."""

    #: The model of one table.
    model: type[Table]
    #: "named": tables by name ([veth.NAME]); "array": an array of tables ([[route]]); "single": one table ([sysctl]);
    #: "container": named, at the top level only, and it can contain all tables of other kinds ([namespace.NAME]).
    form: Literal["named", "array", "single", "container"] = "named"
    #: Arrays of its table whose entries match in the order of the file, across these arrays.
    ordered_arrays: frozenset[str] = frozenset()


class Traits(NamedTuple):
    """What is true of every object of a kind."""

    #: The kernel keeps netd's mark on it, and no ordinary command removes the mark.
    has_mark: bool = False
    #: It cannot exist before netd creates it (an equal one is netd's own, not adopted).
    never_adopted: bool = False
    #: netd never creates it, but waits until it exists.
    is_foreign: bool = False
    #: Its objects are links that netd creates, and have dependents.
    provides_links: bool = False
    #: Equal declarations in several tables of one file are one object, as they are in several files.
    mergeable: bool = False
    #: Its objects are rules among those of other tools: also of legacy iptables, which sends no events.
    in_foreign_chains: bool = False
    #: An undeclared object that has what a declared one claims is that one, under a former name: it is not removed.
    taken_over: bool = False
    #: The kernel reports no change of it: it is read once a minute.
    unannounced: bool = False
    #: {field: why it does not stay as it is repaired, if no other program changes it}.
    contention: Mapping[str, str] = MappingProxyType({})
    #: Kinds whose loss deletes it, too: recreated with them, it is a consequence and does not count as a repair.
    lost_with: frozenset[str] = frozenset()
    #: Fields without a key, always the same on an intact object: reported only if they are wrong.
    guard_fields: frozenset[str] = frozenset()
    #: Fields that place the object: if one of them is restored, all are.
    placement_fields: frozenset[str] = frozenset()


class Kind:
    """The base of all kinds; ``netd.kinds.registry()`` finds them.

    ``LinkKind``, ``SettingKind`` and ``GroupKind`` have hooks of their own, and so have the roles (``base.roles``).
    """

    #: The kind's name, in keys and in TOML ("veth").
    name: ClassVar[str]
    #: None: declared by other tables only.
    toml: ClassVar[TomlForm | None] = None
    traits: ClassVar[Traits] = Traits()

    def declare(self, table: Any, context: TableContext) -> Iterable[Desired]:
        """The objects that one table declares (a link's addresses and routes are objects too)."""
        return ()

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """Errors between two objects: (the later one, the earlier one, the text)."""
        return ()

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        """The object as the mirror has it, None if it does not exist.

        Works from ``key`` and ``locator`` alone. ``identity`` is the ledger's, of the one that netd created: with it a
        renamed link is found, and its dependents.
        """
        raise NotImplementedError

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        """The identity that it will have if it is created now, as far as that is known in advance."""
        return None

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        """The watch keys of what it is read from: events on these concern it."""
        raise NotImplementedError

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        """Checks a record of the ledger; an error (LookupError, TypeError, ValueError) if it is invalid.

        Another version of netd may have written it.
        """
        tuple(self.watch_keys(key, locator))

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        """Objects of this kind with netd's mark, with their locators: those that are not in the ledger are orphans."""
        return ()

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        """Creates it. ``memory``: what the ledger has of an earlier one (``LinkKind.remember``)."""
        return ()

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        """Sets these fields in place, and no others."""
        return ()

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        """Deletes what was observed (netd's own, or a wrong one instead of it). Phases are those of its creation."""
        return ()

    def restore(self, key: Key, locator: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        """Restores what was displaced, when netd's object is removed; on a link when the link was created."""
        return ()

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        """The value of a field that is no longer declared; None: it stays as it is.

        ``found`` is what netd found before its first write; None: netd created the object, and the kernel's default is
        meant. Then also a Key: what the field of that name of another object is, or will be; or an MtuLimit.
        """
        return found


def link_identity(link: LinkName, view: View) -> Mapping[str, Any] | None:
    """The identity of an object on a link: the namespace's and the link's."""
    found = view.link(*link)
    return None if found is None else {"cookie": view.cookie(link.netns), "index": found.index}


def link_by_identity(link: LinkName, identity: Mapping[str, Any], view: View) -> Link | None:
    """The link that had that name when netd knew it by this ``identity``, else the one that has it now."""
    known: Link | None = None
    if identity and identity.get("cookie") == view.cookie(link.netns):
        known = view.link_at(link.netns, int(identity.get("index", 0)))
    return known or view.link(*link)
