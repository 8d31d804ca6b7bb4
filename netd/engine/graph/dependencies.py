"""Which objects a change concerns: kept for each configuration, asked in every pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from netd.engine.ledger import Ledger
from netd.engine.record import Record
from netd.kinds import registry
from netd.kinds.base.group_kind import GroupKind
from netd.kinds.link.link_kind import LinkKind
from netd.model.desired import Desired, View
from netd.model.invalidation import Invalidation, WatchKey
from netd.model.key import HOST, Key, LinkName, namespace_key

from .auto_mtu import AutoMtu

#: Keys by what they are found by.
KeyIndex = dict[Any, set[Key]]


class DependencyGraph:
    """The objects of a configuration, and undeclared ones of the ledger, by what concerns them.

    A new configuration costs what it changes, and a comparison of the keys of the rest.
    """

    def __init__(self, ledger: Ledger, view: View) -> None:
        self.desired: Mapping[Key, Desired] = {}
        self.providers: dict[LinkName, Key] = {}
        #: Declared namespaces by name.
        self.namespaces: Mapping[str, Desired] = {}
        #: All namespaces, undeclared ones too.
        self._namespace_keys: Set[Key] = frozenset()
        #: Attached namespaces that are no longer declared under this name.
        self.former: Sequence[Key] = ()
        self._duplicates: dict[str, str] | None = None
        #: Namespaces with rules in other tools' chains: legacy iptables sends no event.
        self.firewalled: KeyIndex = {}
        #: The objects of which the kernel reports no change, by namespace.
        self.unannounced: KeyIndex = {}
        #: Undeclared objects that have what a declared one claims: they are removed at once.
        self.displaced_by: Set[Key] = frozenset()
        self._ledger = ledger
        self._view = view
        #: The records of undeclared objects, which only the ledger knows.
        self._records: Mapping[Key, Record] = {}
        self.undeclared: Set[Key] = frozenset()
        self._by_watch_key: KeyIndex = {}
        self._by_namespace: KeyIndex = {}
        self._dependents: KeyIndex = {}
        self._batches: KeyIndex = {}
        self._claimed: KeyIndex = {}
        self._levels: dict[Key, int] = {}
        self.auto_mtu = AutoMtu((), view)

    def set_desired(self, desired: Mapping[Key, Desired]) -> set[Key]:
        """A new configuration; returns the objects that are new, changed, or no longer declared."""
        before = self.desired
        # Unchanged files keep their objects, so that most are the same one.
        changed = {key for key, one in desired.items() if (old := before.get(key)) is not one and old != one}
        changed |= {key for key in before if key not in desired}
        for key in changed & before.keys():
            self._drop(before[key])
        for key, record in self._records.items():
            _remove(key, self._watch_places(key, record.locator))
        self._levels.clear()
        self.desired = desired
        self.namespaces = {key.name: one for key, one in desired.items() if key.is_namespace}
        self._records = {key: record for key, record in self._ledger.records.items() if key not in desired}
        self.undeclared = self._records.keys()
        self._namespace_keys = {namespace_key(name) for name in self.namespaces}
        self._namespace_keys |= {key for key in self._records if key.is_namespace}
        self.former = [key for key in self._ledger.attached() if key not in desired]
        self._duplicates = None
        for key in changed & desired.keys():
            self._add(desired[key])
        for key, record in self._records.items():
            _insert(key, self._watch_places(key, record.locator))
        claimed = self._claimed.keys()
        self.displaced_by = frozenset(
            key for key, record in self._records.items() if not claimed.isdisjoint(record.claims)
        )
        return changed

    def refresh_auto_mtu(self) -> set[Key]:
        """Computes automatic MTUs again; returns the objects of which it changed."""
        before, self.auto_mtu = self.auto_mtu, AutoMtu(self.desired.values(), self._view)
        return self.auto_mtu.differing(before)

    def _add(self, one: Desired) -> None:
        self.providers.update(dict.fromkeys(one.provides, one.key))
        _insert(one.key, self._places(one))

    def _drop(self, one: Desired) -> None:
        for link in one.provides:
            del self.providers[link]
        _remove(one.key, self._places(one))

    def _places(self, one: Desired) -> Iterator[tuple[KeyIndex, Any]]:
        """The indexes that a declared object is in, each with what it is found by."""
        key, kind = one.key, registry()[one.key.kind]
        for link in (*one.requires, *one.after, *(link for links in one.gateways.values() for link in links)):
            yield self._dependents, link
            yield self._by_watch_key, WatchKey("link", *link)
        for netns in one.namespaces:
            yield self._by_namespace, netns
        for claim in one.claims:
            yield self._claimed, claim
        if isinstance(kind, GroupKind):
            yield self._batches, (key.netns, key.kind)
        if kind.traits.in_foreign_chains:
            yield self.firewalled, key.netns
        if kind.traits.unannounced:
            yield self.unannounced, key.netns
        yield from self._watch_places(key, one.locator)

    def _watch_places(self, key: Key, locator: Mapping[str, Any]) -> Iterator[tuple[KeyIndex, Any]]:
        """The indexes that an object is in by what it is read from."""
        kind = registry().get(key.kind)
        if kind is None:
            return
        yield self._by_namespace, key.netns
        for watch_key in kind.watch_keys(key, locator):
            yield self._by_watch_key, watch_key
            if watch_key.what == "namespace":
                yield self._by_namespace, watch_key.netns
            elif watch_key.name:
                # Of an event that names none: all of that sort in the namespace.
                yield self._by_watch_key, WatchKey(watch_key.what, watch_key.netns)

    def level(self, key: Key) -> int | None:
        """How many links a declared link is on, one above the other: a bridge 0, its port 1. None: it is no link.

        Cycles were refused before.
        """
        todo = [] if key in self._levels else [key]
        while todo:
            one = self.desired.get(todo[-1])
            if one is None or not one.provides:
                return None
            below = {self.providers[link] for link in (*one.requires, *one.after) if link in self.providers} - {one.key}
            unknown = below - self._levels.keys()
            if unknown:
                todo.extend(unknown)
            else:
                self._levels[todo.pop()] = max((self._levels[each] + 1 for each in below), default=0)
        return self._levels[key]

    def in_order(self, keys: Iterable[Key]) -> list[Key]:
        """Namespaces, then links from the lowest up, then what is on them: the order of comparisons."""
        levels = {key: self.level(key) for key in keys}
        return sorted(
            levels,
            key=lambda key: (key not in self._namespace_keys, levels[key] is None, levels[key] or 0, key.netns, key),
        )

    def affected(self, watch_keys: Iterable[WatchKey]) -> set[Key]:
        """The objects to compare again."""
        watch_keys = set(watch_keys)
        if any(watch_key.what in ("everything", "namespace") for watch_key in watch_keys):
            self._duplicates = None
        if any(watch_key.what == "everything" for watch_key in watch_keys):
            self.auto_mtu.invalidate()
            return set(self.desired) | self.undeclared
        found = self.auto_mtu.affected(watch_keys) if self.auto_mtu.keys else set()
        for watch_key in watch_keys:
            if watch_key.what == "namespace":
                found |= self._by_namespace.get(watch_key.netns, set())
            found |= self._by_watch_key.get(watch_key, set())
        return found

    def unreported(self) -> set[Invalidation]:
        """What is to be read again without an event: the kernel reports no change of it."""
        keys = {key for found in self.unannounced.values() for key in found}
        watched = (watch for key in keys for watch in registry()[key.kind].watch_keys(key, self.desired[key].locator))
        return {Invalidation(watch.what, watch.netns) for watch in watched if watch.what != "link"}

    def resolved(self, one: Desired) -> Desired:
        """The object with the values that depend on other links, as they are to be now."""
        return self.auto_mtu.resolved(one)

    def dependents(self, key: Key) -> set[Key]:
        """What is on the links of an object, or in a namespace: to be compared once it was created."""
        one = self.desired.get(key)
        if one is None:
            return set()
        found: set[Key] = set()
        for link in one.provides:
            found |= self._dependents.get(link, set())
        if self.namespaces.get(key.name) is one:
            found |= self._by_namespace.get(key.name, set())
        return found

    def with_dependents(self, keys: Iterable[Key]) -> set[Key]:
        """These objects, and all that depends on them, however far away."""
        found, left = set(keys), list(keys)
        while left:
            more = self.dependents(left.pop()) - found
            found |= more
            left += more
        return found

    def failed_dependency(self, key: Key, failed: Set[Key]) -> Key | None:
        """The one of these failed objects that this one depends on."""
        one = self.desired.get(key)
        if one is None:
            return None
        for netns in (key.netns, *one.namespaces):
            if netns and namespace_key(netns) in failed:
                return namespace_key(netns)
        for link in one.requires:
            provider = self.providers.get(link)
            if provider in failed and provider != key:
                return provider
        return None

    def duplicate_of(self, netns: str) -> str:
        """What else the namespace is that a declared name leads to, "" for nothing."""
        if self._duplicates is None:
            self._duplicates = self._find_duplicates()
        return self._duplicates.get(netns, "")

    def _find_duplicates(self) -> dict[str, str]:
        """Of several names of one namespace, one counts: that which netd made, else one that is not attached."""
        names: dict[int, list[Key]] = {}
        for name, one in self.namespaces.items():
            with contextlib.suppress(Exception):
                cookie = self._view.cookie(name)
                if cookie is not None:
                    names.setdefault(cookie, []).append(one.key)
        found = {key.name: "the host itself" for key in names.pop(self._view.cookie(HOST) or 0, ())}
        for cookie, keys in names.items():
            if len(keys) > 1:
                owner = min(
                    keys, key=lambda key: (not self._is_made(key, cookie), bool(self.namespaces[key.name].source), key)
                )
                found |= {key.name: f"{owner} under another name" for key in keys if key != owner}
        return found

    def _is_made(self, key: Key, cookie: int) -> bool:
        record = self._ledger.records.get(key)
        return record is not None and record.made and record.identity.get("cookie") == cookie

    def must_leave_first(self, keys: Iterable[Key]) -> set[Key]:
        """What has to leave those of these namespaces that are no longer declared."""
        gone = [key.name for key in keys if key in self._namespace_keys and key in self.undeclared]
        return self.needing_removal(key for netns in gone for key in self.undeclared_in(netns))

    def undeclared_in(self, netns: str) -> Iterator[Key]:
        """Undeclared objects in a namespace that the ledger still has."""
        inside = (key for key in self._by_namespace.get(netns, ()) if key.netns == netns and key in self.undeclared)
        return (key for key in inside if self._ledger.records.get(key) is not None)

    def needing_removal(self, keys: Iterable[Key]) -> set[Key]:
        """Those of these objects that have to leave their namespace before it is deleted."""
        links = ((key, kind) for key in keys if isinstance(kind := registry()[key.kind], LinkKind))
        return {
            key
            for key, kind in links
            if key in self.undeclared and kind.must_leave_namespace(self._records[key].locator)
        }

    def batch(self, netns: str, kind: str) -> list[Desired]:
        """All objects of a ``batched`` kind, in their order."""
        return sorted((self.desired[key] for key in self._batches.get((netns, kind), ())), key=lambda one: one.order)


def _insert(key: Key, places: Iterable[tuple[KeyIndex, Any]]) -> None:
    for index, place in places:
        index.setdefault(place, set()).add(key)


def _remove(key: Key, places: Iterable[tuple[KeyIndex, Any]]) -> None:
    for index, place in places:
        keys = index.get(place, set())
        keys.discard(key)
        if not keys:
            index.pop(place, None)
