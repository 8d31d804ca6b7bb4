"""Compares objects, each once: what others depend on comes before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.observe.attached import AttachedNamespaces
from netd.engine.observe.mirror import Mirror
from netd.engine.portions import Portions
from netd.engine.status.table import StatusTable
from netd.errors import as_refusal
from netd.model.key import NAMESPACE_KIND, Key, namespace_key
from netd.model.status import State

from .decision import Decision
from .diff import Comparison
from .prerequisites import Prerequisites


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
        for _ in self.in_portions(keys, decisions, Portions(), lambda key, decision: None, withdraw=withdraw):
            pass
        return decisions

    def in_portions(
        self,
        keys: Iterable[Key],
        decisions: dict[Key, Decision],
        portions: Portions,
        decided: Callable[[Key, Decision], None],
        *,
        withdraw: Callable[[Key], bool],
    ) -> Iterator[None]:
        """The same into ``decisions``, with turns for others in between.

        ``decided`` is called with each before a turn can make it outdated.
        """
        prerequisites = Prerequisites(
            self._mirror, self._graph, self._table, self._ledger.get, self._attached.missing, decisions
        )
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
                decided(key, decisions[key])
                yield from portions.end()

    def _evaluate_one(self, key: Key, comparison: Comparison) -> Decision:
        one, record = self._graph.desired.get(key), self._ledger.get(key)
        twin = self._graph.duplicate_of(key.name) if one is not None and key == namespace_key(key.name) else ""
        if twin:
            return Decision(State.CONFLICT, f"it is {twin}: declare its contents there, and remove this table")
        if one is not None:
            return comparison.evaluate(one, record)
        forced = key in self.forced
        change = comparison.evaluate_undeclared(key, record, force=forced) if record is not None else None
        return Decision(State.OK, change=change)

    def _ordered(self, keys: Iterable[Key]) -> list[Key]:
        """Namespaces, then links from the lowest up, then what is on them."""
        levels = {key: self._graph.level(key) for key in keys}
        return sorted(
            levels, key=lambda key: (key.kind != NAMESPACE_KIND, levels[key] is None, levels[key] or 0, key.netns, key)
        )
