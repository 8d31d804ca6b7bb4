"""What netd wrote and no file declares any more goes back to what was found, or to the kernel's default."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.record import Record
from netd.kinds import registry
from netd.kinds.base.kind import MtuLimit
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import FieldDiff
from netd.model.desired import HIDDEN, Observed, View
from netd.model.key import Key
from netd.model.segment import LEAST


class PutBack:
    """Finds the values of fields that are no longer declared."""

    def __init__(self, view: View, graph: DependencyGraph, records: Mapping[Key, Record]) -> None:
        self._view = view
        self._graph = graph
        self._records = records

    def fields(
        self,
        key: Key,
        locator: Mapping[str, Any],
        record: Record,
        observed: Observed,
        declared: Set[str] = frozenset(),
    ) -> dict[str, FieldDiff]:
        """The fields to restore; those that another program changed since netd wrote them stay."""
        kind = registry()[key.kind]
        found: dict[str, FieldDiff] = {}
        for name, field in record.fields.items():
            if name in declared:
                continue
            have = observed.fields.get(name)
            lost = isinstance(kind, LinkKind) and kind.lost_referent(key, locator, name, field.wrote, have, self._view)
            if not (have is HIDDEN or field.is_written(have) or lost):
                continue
            value = self._value_before(key, locator, name, field.found)
            if value is not None and value != have:
                found[name] = FieldDiff(value, have)
        return found

    def _value_before(self, key: Key, locator: Mapping[str, Any], name: str, found: Any) -> Any:
        """What was found before netd's first write, else the default; None: it is left as it is."""
        value = registry()[key.kind].reverted(key, locator, name, found, self._view)
        if isinstance(value, Key):
            return self._future_value(value, name)
        return self._future_mtu(value) if isinstance(value, MtuLimit) else value

    def _future_value(self, key: Key, name: str) -> Any:
        """A field of another object once that one is as it should be; None: it is not there."""
        one, record = self._graph.desired.get(key), self._records.get(key)
        if one is not None and name in one.fields:
            return self._graph.resolved(one).fields[name]
        locator = one.locator if one is not None else record.locator if record is not None else {}
        observed = registry()[key.kind].observe(key, locator, self._view)
        if observed is None:
            return None
        back = self.fields(key, locator, record, observed) if record is not None else {}
        return back[name].want if name in back else observed.fields.get(name)

    def _future_mtu(self, limit: MtuLimit) -> int | None:
        """The largest MTU below a link, once that one is as it should be."""
        carrier = self._graph.providers.get(limit.link)
        if carrier is not None:
            field = next(end.field for end in self._graph.desired[carrier].ends if end.link == limit.link)
            mtu = self._future_value(carrier, field)
        else:
            link = self._view.link(*limit.link)
            mtu = link.mtu if link is not None else None
        return None if mtu is None else max(LEAST, int(mtu) - limit.headers)
