"""The routes of one namespace, as far as they were asked for.

A table may hold a million routes of a routing daemon, and one of netd's. So a route is asked for by its name: the
kernel walks the table, and the rest is thrown away unread. Who asks for many gets the whole table in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from netd.model.state import Route

#: Routes of one table that are asked for one by one, before all of it is read.
FEW = 8

Identity = tuple[str, int]
#: Reads a table, (table, family), or (with an identity) what of it may be that route.
Read = Callable[[int, int, Identity | None], Iterable[Route]]


@dataclass(slots=True)
class _Table:
    """``complete``: what is not in ``known`` is not there, ``stale`` apart. ``asked``: so many were asked for alone."""

    known: dict[Identity, list[Route]] = field(default_factory=dict)
    stale: set[Identity] = field(default_factory=set)
    complete: bool = False
    asked: int = 0


class RouteCache:
    """By (table, family)."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int], _Table] = {}

    def get(self, table: int, family: int, identity: Identity, read: Read) -> Sequence[Route]:
        """The routes of one identity; whatever ``read`` throws."""
        found = self._tables.setdefault((table, family), _Table())
        if identity not in found.stale:
            if not found.complete and identity not in found.known and found.asked >= FEW:
                self._read(found, table, family, read)
            if found.complete or identity in found.known:
                return found.known.get(identity, ())
        routes = [one for one in read(table, family, identity) if (one.to, one.metric) == identity]
        found.asked += identity not in found.stale
        found.known[identity] = routes
        found.stale.discard(identity)
        return routes

    def all(self, tables: Iterable[tuple[int, int]], read: Read) -> list[Route]:
        """All of these tables, and of those that were asked for."""
        for of in (*tables, *self._tables):
            found = self._tables.setdefault(of, _Table())
            if not found.complete or found.stale:
                self._read(found, *of, read)
        return [route for table in self._tables.values() for routes in table.known.values() for route in routes]

    def _read(self, found: _Table, table: int, family: int, read: Read) -> None:
        known: dict[Identity, list[Route]] = {}
        for route in read(table, family, None):
            known.setdefault((route.to, route.metric), []).append(route)
        found.known, found.complete = known, True
        found.stale.clear()

    def forget(self, family: int, name: str = "") -> None:
        """The routes of one family (0: both), or one of them by its name, are no longer known."""
        if not name:
            for of in [of for of in self._tables if family in (0, of[1])]:
                del self._tables[of]
            return
        table, to, metric = name.split(" ")
        found = self._tables.get((int(table), family))
        if found is not None:
            found.known.pop((to, int(metric)), None)
            found.stale.add((to, int(metric)))
