"""Keeps the ledger true of what was found as declared, and of what the kernel took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.record import FieldRecord, Record, settled
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.kinds.base.setting_kind import ValueKind
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Change
from netd.model.desired import HIDDEN, Desired, Observed
from netd.model.key import Key

from .rules import state_as_found, without_other
from .settings import SettingRecorder


class LedgerRecorder:
    """Records what is netd's own, and what it keeps of foreign objects. What precedes a write: ``Intents``."""

    def __init__(self, ledger: Ledger, graph: DependencyGraph) -> None:
        self._ledger = ledger
        self._graph = graph
        self.settings = SettingRecorder(ledger)

    def record_found(self, one: Desired, observed: Observed, withdraws: Callable[[Key], bool]) -> None:
        """An object is as declared: it is netd's own, or adopted.

        ``withdraws``: whether fields that are no longer declared of an object were restored.
        """
        kind, record = registry()[one.key.kind], self._record_as_found(one, observed)
        fields: Mapping[str, FieldRecord] = record.fields
        if not fields.keys() <= one.fields.keys() and withdraws(one.key):
            fields = {name: field for name, field in fields.items() if name in one.fields}
        if any(field.earlier for field in fields.values()):
            fields = settled(fields, observed)
        if isinstance(kind, ValueKind):
            fields = self.settings.as_found(one, fields, observed, self._graph)
        identity = dict(observed.identity)
        kept = not record.displaced or kind.traits.provides_links
        self._ledger.keep(
            one,
            record,
            identity=identity,
            displaced=record.displaced if kept else record.displaced_at(identity),
            fields=fields,
            memory=_remembered(kind, one, observed, record) if isinstance(kind, LinkKind) else record.memory,
        )

    def _record_as_found(self, one: Desired, observed: Observed) -> Record:
        """The record of what was found, by the table of ownership."""
        kind, record = registry()[one.key.kind], self._ledger.records.get(one.key)
        if one.source and record is not None:
            # An attached namespace is never netd's own, whichever had its name before.
            record = replace(record, state="adopted")
        state = state_as_found(record, observed, kind)
        if record is None:
            return Record(state)
        if state == "made":
            return record if record.state == "made" else replace(record, state="made")
        if record.made:
            # Another program recreated it as declared: it is foreign.
            return Record("adopted", memory=record.memory)
        return without_other(one, record, observed)

    def record_made(self, change: Change, *, owing: bool) -> None:
        """The kernel took it. Its identity follows when it is read; until then a crash leaves it to its mark.

        ``owing``: not all that was displaced could be restored yet.
        """
        kind, record = registry()[change.key.kind], self._ledger.records.get(change.key)
        if record is None:
            return
        if change.desired is None:
            record = _as_withdrawn(kind, change, record)
        elif change.action != "update":
            if record.state == "intent" and not isinstance(kind, ValueKind):
                record = replace(record, state="made", identity=record.identity if change.action == "create" else {})
        elif kind.traits.placement_fields & change.fields.keys() - change.desired.fields.keys():
            # It is somewhere else now, and as it was found there.
            record = replace(record, fields={}, identity={})
        elif kind.traits.provides_links and not owing:
            record = replace(record, displaced=())
        self._ledger.put(change.key, record)

    def as_left(self, change: Change) -> bool:
        """Whether nobody broke anything: its owner ended it, or all that differs is as netd wrote it before what it
        follows changed."""
        if change.observed is not None and change.observed.residue:
            return True
        record = self._ledger.records.get(change.key)
        written = record.fields if record is not None else {}
        still = [name in written and bool(written[name].earlier) for name in change.fields]
        return change.action == "update" and bool(still) and all(still)


def _as_withdrawn(kind: Kind, change: Change, record: Record) -> Record:
    """The present object counts as foreign, even if it is equal; and a renamed link is not tracked any more."""
    if change.observed is not None and change.observed.renamed_away:
        record = replace(record, state="adopted", fields={}, identity={})
    elif record.displaced and not (kind.traits.has_mark or isinstance(kind, ValueKind)):
        record = replace(record, state="adopted", fields={})
    return replace(record, displaced=())


def _remembered(kind: LinkKind, one: Desired, observed: Observed, record: Record) -> Mapping[str, Any]:
    """With the values that were chosen once, by a file since, or before the ledger was lost."""
    names = kind.remembered if record.state == "made" else ()
    fresh = [name for name in names if name in one.fields or name not in record.memory]
    found = {name: observed.fields.get(name) for name in fresh}
    return {**record.memory, **{name: value for name, value in found.items() if value not in (None, "", HIDDEN)}}
