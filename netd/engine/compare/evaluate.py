"""Compares objects, each once: what others depend on comes before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.observe.attached import AttachedNamespaces
from netd.engine.observe.mirror import Mirror
from netd.engine.portions import Portions
from netd.engine.status.table import StatusTable
from netd.errors import as_refusal
from netd.kinds import registry
from netd.model.key import Key, LinkName, namespace_key
from netd.model.status import State

from .decision import Decision
from .diff import Comparison
from .prerequisites import Prerequisites

#: States in which an object cannot be relied on.
BLOCKING = frozenset({State.FAILED, State.CONFLICT})


class Evaluator:
    """Decides on objects by the kernel's state.

    ``forced``: undeclared objects that are deleted although netd did not create them.
    """

    def __init__(
        self, graph: DependencyGraph, table: StatusTable, ledger: Ledger, mirror: Mirror, attached: AttachedNamespaces
    ) -> None:
        self._graph = graph
        self._table = table
        self._ledger = ledger
        self._mirror = mirror
        self._attached = attached
        self.forced: set[Key] = set()

    def evaluate(self, keys: Iterable[Key], *, withdraw: Callable[[Key], bool]) -> dict[Key, Decision]:
        """Compares these objects; ``withdraw`` is that of ``Comparison``."""
        decisions: dict[Key, Decision] = {}
        for _ in self.in_portions(keys, decisions, Portions(), withdraw=withdraw):
            pass
        return decisions

    def in_portions(
        self,
        keys: Iterable[Key],
        decisions: dict[Key, Decision],
        portions: Portions,
        *,
        withdraw: Callable[[Key], bool],
    ) -> Iterator[None]:
        """The same into ``decisions``, with turns for others in between."""

        def blocked(what: LinkName | str) -> str:
            return self._blocked(what, decisions)

        prerequisites = Prerequisites(self._mirror, blocked, cache(self._unready), self._attached.missing)
        comparison = Comparison(self._mirror, self._graph, self._ledger.get, prerequisites, withdraw=withdraw)
        with self._mirror.reading():
            for key in self._ordered(keys):
                try:
                    decisions[key] = self._evaluate_one(key, comparison)
                except Exception as error:
                    refusal = as_refusal(error)
                    decisions[key] = Decision(State.FAILED, f"cannot be read: {refusal}", error=refusal)
                if decisions[key].change is not None:
                    portions.involved.add(key)
                yield from portions.end()

    def _evaluate_one(self, key: Key, comparison: Comparison) -> Decision:
        one, record = self._graph.desired.get(key), self._ledger.get(key)
        twin = self._graph.duplicate_of(key.name) if one is not None and key == namespace_key(key.name) else ""
        if twin:
            return Decision(State.CONFLICT, f"it is {twin}: declare its contents there, and remove this table")
        if one is not None:
            return comparison.evaluate(one)
        forced = key in self.forced
        change = comparison.evaluate_undeclared(key, record, force=forced) if record is not None else None
        return Decision(State.OK, change=change)

    def _blocked(self, what: LinkName | str, decisions: Mapping[Key, Decision]) -> str:
        """Why a declared link or namespace cannot be relied on, "" where it can. ``decisions``: those made so far."""
        provider = self._graph.providers.get(what) if isinstance(what, LinkName) else namespace_key(what)
        if provider is None:
            return ""
        known = decisions.get(provider) or self._table.get(provider)
        return f"{provider}: {known.state.value}" if known is not None and known.state in BLOCKING else ""

    def _unready(self, netns: str) -> str:
        """Why nothing is to be built in the namespace of this name yet, "" where it can be."""
        key = namespace_key(netns)
        one, record = self._graph.desired.get(key), self._ledger.get(key)
        if one is not None and self._graph.duplicate_of(netns):
            return f"{key}: {State.CONFLICT.value}"
        if one is None or not (one.source or (record and "attach" in record.identity)):
            return ""
        observed = registry()[key.kind].observe(key, one.locator, self._mirror, record.identity if record else {})
        if observed is not None and observed.residue:
            return "its name is first removed from another namespace"
        if observed is not None and observed.conflict:
            return f"{key}: {State.CONFLICT.value}"
        cookie = self._mirror.cookie(netns)
        for other in self._graph.former if cookie else ():
            former = self._ledger.get(other)
            if (
                former is not None
                and former.identity.get("cookie") == cookie
                and any(self._graph.undeclared_in(other.name))
            ):
                return f"what netd created there as {other.name} is removed first"
        return ""

    def _ordered(self, keys: Iterable[Key]) -> list[Key]:
        """Namespaces, then links from the lowest up, then what is on them."""
        levels = {key: self._graph.level(key) for key in keys}
        return sorted(
            levels, key=lambda key: (not key.is_namespace, levels[key] is None, levels[key] or 0, key.netns, key)
        )
