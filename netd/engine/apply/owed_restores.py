"""Links that were recreated, and on which something foreign could not be restored yet: what it needs is missing."""

from __future__ import annotations

from collections.abc import Set

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.status.table import StatusTable
from netd.model.key import Key
from netd.model.status import State

from .executor import Executor

SETTLED = frozenset({State.OK, State.CONTENDED, State.DIVERGED})


class OwedRestores:
    """They are tried again once something was created on them: foreign routes need addresses of netd's."""

    def __init__(self, graph: DependencyGraph, table: StatusTable) -> None:
        self._graph = graph
        self._table = table
        self._links: set[Key] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._links

    def note(self, key: Key, execution: Executor, tried: Set[Key]) -> bool:
        """After a plan for the objects that were ``tried``: whether something is still owed."""

        def is_missing(other: Key) -> bool:
            if other in tried:
                return other in execution.failed or other in execution.skipped
            row = self._table.get(other)
            return row is None or row.state not in SETTLED

        if key in execution.unfit and any(map(is_missing, self._graph.dependents(key))):
            self._links.add(key)
        else:
            self._links.discard(key)
        return key in self._links

    def due(self, key: Key) -> Set[Key]:
        """The restores to try again, now that this object exists."""
        one = self._graph.desired.get(key)
        below = {self._graph.providers.get(link) for link in one.requires} if one is not None and self._links else set()
        found = self._links & below
        self._links -= found
        return found
