"""Who is concerned when something changes: built once per configuration, asked in every round."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from typing import Any

from netd.kinds import registry
from netd.model.desired import Desired, View
from netd.model.dirty import Topic
from netd.model.key import Key, LinkName

from .followers import Followers
from .ledger import Ledger


class Index:
    """The objects of a configuration, and those the ledger still knows, by what concerns them."""

    def __init__(self, desired: Mapping[Key, Desired], ledger: Ledger, view: View) -> None:
        self.desired = desired
        self.followers = Followers(desired.values(), view)
        self.providers: dict[LinkName, Key] = {}
        self._by_topic: dict[Topic, set[Key]] = {}
        self._by_namespace: dict[str, set[Key]] = {}
        self._dependents: dict[LinkName, set[Key]] = {}
        self._leaving: dict[str, set[Key]] = {}
        self._together: dict[tuple[str, str], list[Desired]] = {}
        #: Namespaces with rules among those of other tools: legacy iptables tells of no change.
        self.firewalled: set[str] = set()
        for one in desired.values():
            self._add(one)
        self.undeclared = frozenset(key for key in ledger if key not in desired)
        self._let_go = self._namespaces_let_go(ledger)
        for key in self.undeclared:
            record = ledger.get(key)
            if record is not None and key.kind in registry():
                self._add_topics(key, record.data)
                if registry()[key.kind].leaves(record.data) or key.netns in self._let_go:
                    self._leaving.setdefault(key.netns, set()).add(key)
        self.levels = self._levels()
        #: Undeclared objects that have what a declared one needs: they make room at once.
        self.rivals = self._rivals(ledger)

    def _add(self, one: Desired) -> None:
        for link in one.makes:
            self.providers.setdefault(link, one.key)
        for link in (*one.needs, *one.wants):
            self._dependents.setdefault(link, set()).add(one.key)
            self._by_topic.setdefault(Topic("link", *link), set()).add(one.key)
        for netns in one.namespaces:
            self._by_namespace.setdefault(netns, set()).add(one.key)
        self._add_topics(one.key, one.data)
        kind = registry()[one.key.kind]
        if kind.together:
            self._together.setdefault((one.key.netns, one.key.kind), []).append(one)
        if kind.foreign_rules:
            self.firewalled.add(one.key.netns)

    def _add_topics(self, key: Key, data: Mapping[str, Any]) -> None:
        self._by_namespace.setdefault(key.netns, set()).add(key)
        for topic in registry()[key.kind].topics(key, data):
            self._by_topic.setdefault(topic, set()).add(key)
            if topic.what == "namespace":
                self._by_namespace.setdefault(topic.netns, set()).add(key)
            elif topic.name:
                # An event that does not say which: all of that sort in the namespace.
                self._by_topic.setdefault(Topic(topic.what, topic.netns), set()).add(key)

    def _namespaces_let_go(self, ledger: Ledger) -> frozenset[str]:
        """Names that stood for another's namespace, and are to be netd's own: nothing of netd is left behind there."""
        records = ((key, ledger.get(key)) for key in self.desired if key.kind == "namespace")
        return frozenset(
            key.name
            for key, record in records
            if record is not None and record.data.get("attach") and not self.desired[key].source
        )

    def _rivals(self, ledger: Ledger) -> frozenset[Key]:
        claimed = {claim for one in self.desired.values() for claim in one.claims}
        records = ((key, ledger.get(key)) for key in self.undeclared)
        return frozenset(key for key, record in records if record is not None and claimed & set(record.claims))

    def _levels(self) -> Mapping[Key, int]:
        """How deep a link stands on others: a bridge 0, its port 1. Cycles were refused before."""
        graph = graphlib.TopologicalSorter[Key]()
        for one in self.desired.values():
            if one.makes:
                below = {self.providers[link] for link in (*one.needs, *one.wants) if link in self.providers}
                graph.add(one.key, *(below - {one.key}))
        levels: dict[Key, int] = {}
        graph.prepare()
        depth = 0
        while graph.is_active():
            ready = graph.get_ready()
            for key in ready:
                levels[key] = depth
            graph.done(*ready)
            depth += 1
        return levels

    def concerned(self, topics: Iterable[Topic]) -> set[Key]:
        """The objects to compare again."""
        topics = set(topics)
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

    def leaving(self, keys: Iterable[Key]) -> set[Key]:
        """What has to be out of those of these namespaces that nothing declares any more, or that are let go of."""
        names = [key for key in keys if key.kind == "namespace"]
        gone = [key.name for key in names if key in self.undeclared or key.name in self._let_go]
        return {key for netns in gone for key in self._leaving.get(netns, ())}

    def together(self, netns: str, kind: str) -> list[Desired]:
        """All objects of a kind that is written at once, in their order."""
        return sorted(self._together.get((netns, kind), ()), key=lambda one: one.order)
