"""Which addresses are announced to their segment: those that netd put on a link or moved to another MAC or port.

Only once they are usable, and the link forwards: earlier frames are lost.
"""

from __future__ import annotations

from netd.kernel.kernel import Kernel
from netd.kinds import registry
from netd.kinds.base.roles import Announced
from netd.model.change import Change
from netd.model.key import Key, LinkName
from netd.model.status import State

from .graph.dependencies import DependencyGraph
from .status.objects import ObjectStates

#: Fields of one end of a link with which its addresses are to be found elsewhere than before.
MOVES = frozenset({"mac", "master", "port_state", "state"})


class Announcements:
    """Collects in a pass, and sends at its end."""

    def __init__(self, kernel: Kernel, graph: DependencyGraph, states: ObjectStates) -> None:
        self._kernel = kernel
        self._graph = graph
        self._states = states
        #: What is to be announced: the link and the address of each object.
        self._found: dict[Key, tuple[LinkName, str]] = {}

    def note(self, key: Key, before: State | None, change: Change | None) -> None:
        """An object is ok now; ``before`` was its state (None: unknown), ``change`` is what this pass did to it."""
        if change is None and before in (None, State.OK):
            return
        self._collect(key)
        if registry()[key.kind].traits.provides_links and (change is None or _moves(change)):
            for each in self._graph.dependents(key):
                self._collect(each)

    def _collect(self, key: Key) -> None:
        kind = registry()[key.kind]
        found = kind.announced(key) if isinstance(kind, Announced) else None
        if found is not None:
            self._found[key] = found

    def send(self) -> None:
        """What is ok, on links that are ok; the rest when it is."""
        if self._found:
            found, self._found = self._found, {}
            self._kernel.announce([place for key, place in found.items() if self._is_ok(key) and self._forwards(key)])

    def _is_ok(self, key: Key) -> bool:
        state = self._states.get(key)
        return state is not None and state.row is not None and state.row.state is State.OK

    def _forwards(self, key: Key) -> bool:
        one = self._graph.desired.get(key)
        providers = [self._graph.providers.get(link) for link in one.requires] if one is not None else []
        return all(provider is None or self._is_ok(provider) for provider in providers)


def _moves(change: Change) -> bool:
    return change.action != "update" or not MOVES.isdisjoint(name.rpartition(".")[2] for name in change.fields)
