"""Who is concerned when something changes: kept for each configuration, asked in every round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from netd.engine.ledger import Ledger, Record
from netd.kinds import registry
from netd.model.desired import Desired, View
from netd.model.dirty import Topic
from netd.model.key import HOST, Key, LinkName

from .auto_mtu import Followers

#: Keys by what they are found by.
Table = dict[Any, set[Key]]


class Index:
    """The objects of a configuration, and those the ledger still knows, by what concerns them.

    A new configuration costs what it changes, and one look at the names of what stays.
    """

    def __init__(self, ledger: Ledger, view: View) -> None:
        self.desired: Mapping[Key, Desired] = {}
        self.providers: dict[LinkName, Key] = {}
        self.namespaces: Mapping[Key, Desired] = {}
        #: Others' namespaces that nothing declares any more under this name.
        self.former: Sequence[Key] = ()
        self._twins: dict[str, str] = {}
        #: Namespaces with rules among those of other tools: legacy iptables tells of no change.
        self.firewalled: Table = {}
        #: Undeclared objects that have what a declared one needs: they make room at once.
        self.rivals: Set[Key] = frozenset()
        self._ledger = ledger
        self._view = view
        #: What the ledger knows of undeclared objects.
        self._left: dict[Key, Record] = {}
        self._by_topic: Table = {}
        self._by_namespace: Table = {}
        self._dependents: Table = {}
        self._together: Table = {}
        self._claimed: Table = {}
        self._levels: dict[Key, int] = {}
        self.followers = Followers((), view)

    @property
    def undeclared(self) -> Set[Key]:
        """Objects that only the ledger knows."""
        return self._left.keys()

    def take(self, desired: Mapping[Key, Desired]) -> set[Key]:
        """A new configuration; returns the objects that are new, changed, or no longer declared."""
        before = self.desired
        # What a file had before is the same object.
        changed = {key for key, one in desired.items() if (old := before.get(key)) is not one and old != one}
        changed |= {key for key in before if key not in desired}
        for key in changed & before.keys():
            self._drop(before[key])
        for key, record in self._left.items():
            _put_out(key, self._topics(key, record.data))
        self._levels.clear()
        self.desired = desired
        self.namespaces = {key: one for key, one in desired.items() if key.kind == "namespace"}
        self._left = {key: record for key, record in self._ledger.items() if key not in desired}
        self.former = [key for key in self._ledger.attached() if key not in desired]
        self._twins.clear()
        for key in changed & desired.keys():
            self._add(desired[key])
        for key, record in self._left.items():
            _put_in(key, self._topics(key, record.data))
        claimed = self._claimed.keys()
        self.rivals = frozenset(key for key, record in self._left.items() if not claimed.isdisjoint(record.claims))
        return changed

    def follow(self) -> set[Key]:
        """Looks anew at what links follow; returns those that have to follow something else than before."""
        before, self.followers = self.followers, Followers(self.desired.values(), self._view)
        return self.followers.differing(before)

    def _add(self, one: Desired) -> None:
        self.providers.update(dict.fromkeys(one.makes, one.key))
        _put_in(one.key, self._places(one))

    def _drop(self, one: Desired) -> None:
        for link in one.makes:
            del self.providers[link]
        _put_out(one.key, self._places(one))

    def _places(self, one: Desired) -> Iterator[tuple[Table, Any]]:
        """Where a declared object is to be found."""
        key, kind = one.key, registry()[one.key.kind]
        for link in (*one.needs, *one.wants, *(link for links in one.ways.values() for link in links)):
            yield self._dependents, link
            yield self._by_topic, Topic("link", *link)
        for netns in one.namespaces:
            yield self._by_namespace, netns
        for claim in one.claims:
            yield self._claimed, claim
        if kind.together:
            yield self._together, (key.netns, key.kind)
        if kind.foreign_rules:
            yield self.firewalled, key.netns
        yield from self._topics(key, one.data)

    def _topics(self, key: Key, data: Mapping[str, Any]) -> Iterator[tuple[Table, Any]]:
        """Where an object is to be found by what the kernel tells."""
        kind = registry().get(key.kind)
        if kind is None:
            return
        yield self._by_namespace, key.netns
        for topic in kind.topics(key, data):
            yield self._by_topic, topic
            if topic.what == "namespace":
                yield self._by_namespace, topic.netns
            elif topic.name:
                # An event that does not say which: all of that sort in the namespace.
                yield self._by_topic, Topic(topic.what, topic.netns)

    def level(self, key: Key) -> int | None:
        """How deep a declared link stands on others: a bridge 0, its port 1; None: it is none.

        Cycles were refused before.
        """
        left = [] if key in self._levels else [key]
        while left:
            one = self.desired.get(left[-1])
            if one is None or not one.makes:
                return None
            below = {self.providers[link] for link in (*one.needs, *one.wants) if link in self.providers} - {one.key}
            unknown = below - self._levels.keys()
            if unknown:
                left.extend(unknown)
            else:
                self._levels[left.pop()] = max((self._levels[each] + 1 for each in below), default=0)
        return self._levels[key]

    def concerned(self, topics: Iterable[Topic]) -> set[Key]:
        """The objects to compare again."""
        topics = set(topics)
        if any(topic.what in ("everything", "namespace") for topic in topics):
            self._twins.clear()
        if any(topic.what == "everything" for topic in topics):
            self.followers.forget()
            return set(self.desired) | self.undeclared
        found = self.followers.concerned(topics)
        for topic in topics:
            if topic.what == "namespace":
                found |= self._by_namespace.get(topic.netns, set())
            found |= self._by_topic.get(topic, set())
        return found

    def resolved(self, one: Desired) -> Desired:
        """The object with the values that hang on other links, as they are to be now."""
        return self.followers.resolved(one)

    def hanging_on(self, key: Key) -> set[Key]:
        """What needs or wants the links of an object, or stands in a namespace: to look at when it was made."""
        one = self.desired.get(key)
        if one is None:
            return set()
        found: set[Key] = set()
        for link in one.makes:
            found |= self._dependents.get(link, set())
        if key.kind == "namespace":
            found |= self._by_namespace.get(key.name, set())
        return found

    def hangs_on(self, key: Key, failed: set[Key]) -> Key | None:
        """The one of these objects, which failed, that this one hangs on."""
        one = self.desired.get(key)
        if one is None:
            return None
        for netns in (key.netns, *one.namespaces):
            if netns and Key(HOST, "namespace", netns) in failed:
                return Key(HOST, "namespace", netns)
        for link in one.needs:
            provider = self.providers.get(link)
            if provider in failed and provider != key:
                return provider
        return None

    def twin(self, netns: str) -> str:
        """What else is declared of the namespace that a name of another's stands for, "" for nothing."""
        if netns not in self._twins:
            self._twins[netns] = self._find_twin(netns)
        return self._twins[netns]

    def _find_twin(self, netns: str) -> str:
        cookie = self._view.cookie(netns)
        if cookie is None or cookie == self._view.cookie(HOST):
            return "" if cookie is None else "the host itself"
        for key, one in self.namespaces.items():
            if key.name != netns and (not one.source or key.name < netns) and self._view.cookie(key.name) == cookie:
                return f"{key} by another name"
        return ""

    def leaving(self, keys: Iterable[Key]) -> set[Key]:
        """What has to be out of those of these namespaces that nothing declares any more."""
        gone = [key.name for key in keys if key.kind == "namespace" and key in self.undeclared]
        return self.in_need(key for netns in gone for key in self.left_in(netns))

    def left_in(self, netns: str) -> Iterator[Key]:
        """Undeclared objects in a namespace, as far as the ledger knows them yet."""
        inside = (key for key in self._by_namespace.get(netns, ()) if key.netns == netns and key in self.undeclared)
        return (key for key in inside if self._ledger.get(key) is not None)

    def in_need(self, keys: Iterable[Key]) -> set[Key]:
        """Those of these objects that have to be out of their namespace before it goes."""
        return {key for key in keys if key in self.undeclared and registry()[key.kind].leaves(self._left[key].data)}

    def together(self, netns: str, kind: str) -> list[Desired]:
        """All objects of a kind that is written at once, in their order."""
        return sorted((self.desired[key] for key in self._together.get((netns, kind), ())), key=lambda one: one.order)


def _put_in(key: Key, places: Iterable[tuple[Table, Any]]) -> None:
    for table, place in places:
        table.setdefault(place, set()).add(key)


def _put_out(key: Key, places: Iterable[tuple[Table, Any]]) -> None:
    for table, place in places:
        keys = table.get(place, set())
        keys.discard(key)
        if not keys:
            table.pop(place, None)
