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
from .status.table import StatusTable

#: Fields of one end of a link with which its addresses are to be found elsewhere than before.
MOVES = frozenset({"mac", "master", "port_state", "state"})


class Announcements:
    """Collects in a pass, and sends at its end."""

    def __init__(self, kernel: Kernel, graph: DependencyGraph, table: StatusTable) -> None:
        self._kernel = kernel
        self._graph = graph
        self._table = table
        self._keys: set[Key] = set()

    def note(self, key: Key, before: State | None, change: Change | None) -> None:
        """An object is ok now; ``before`` was its state (None: unknown), ``change`` is what this pass did to it."""
        if change is None and before in (None, State.OK):
            return
        kind = registry()[key.kind]
        if _announced(key) is not None:
            self._keys.add(key)
        if kind.traits.provides_links and (change is None or _moves(change)):
            self._keys |= {each for each in self._graph.dependents(key) if _announced(each)}

    def send(self) -> None:
        """What is ok, on links that are ok; the rest when it is."""
        keys, self._keys = self._keys, set()
        found = [
            place for key in keys if self._is_ok(key) and (place := _announced(key)) is not None if self._forwards(key)
        ]
        if found:
            self._kernel.announce(found)

    def _is_ok(self, key: Key) -> bool:
        row = self._table.get(key)
        return row is not None and row.state is State.OK

    def _forwards(self, key: Key) -> bool:
        one = self._graph.desired.get(key)
        providers = [self._graph.providers.get(link) for link in one.requires] if one is not None else []
        return all(provider is None or self._is_ok(provider) for provider in providers)


def _moves(change: Change) -> bool:
    return change.action != "update" or not MOVES.isdisjoint(name.rpartition(".")[2] for name in change.fields)


def _announced(key: Key) -> tuple[LinkName, str] | None:
    """The link and the address to announce; None for an object of another kind."""
    kind = registry()[key.kind]
    return kind.announced(key) if isinstance(kind, Announced) else None
