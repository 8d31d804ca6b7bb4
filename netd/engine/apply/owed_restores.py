"""Links that were recreated, and on which something foreign could not be restored yet: what it needs is missing."""

from __future__ import annotations

from collections.abc import Set

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.status.objects import ObjectStates
from netd.model.key import Key
from netd.model.status import State

from .executor import Executor

SETTLED = frozenset({State.OK, State.CONTENDED, State.DIVERGED})


class OwedRestores:
    """They are tried again once something was created on them: foreign routes need addresses of netd's."""

    def __init__(self, graph: DependencyGraph, states: ObjectStates) -> None:
        self._graph = graph
        self._states = states
        self.links: set[Key] = set()

    def note(self, key: Key, execution: Executor, tried: Set[Key]) -> bool:
        """After a plan for the objects that were ``tried``: whether something is still owed."""

        def is_missing(other: Key) -> bool:
            if other in tried:
                return other in execution.failed or other in execution.skipped
            state = self._states.get(other)
            return state is None or state.row is None or state.row.state not in SETTLED

        if key in execution.unfit and any(map(is_missing, self._graph.dependents(key))):
            self.links.add(key)
        else:
            self.links.discard(key)
        return key in self.links

    def due(self, key: Key) -> Set[Key]:
        """The restores to try again, now that this object exists."""
        one = self._graph.desired.get(key)
        below = {self._graph.providers.get(link) for link in one.requires} if one is not None and self.links else set()
        found = self.links & below
        self.links -= found
        return found
