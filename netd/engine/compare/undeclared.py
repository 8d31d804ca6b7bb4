"""What becomes of an object that only the ledger knows: no file declares it any more."""

from __future__ import annotations

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ownership.rules import Identity, May, lacks_displaced, ownership
from netd.engine.record import Record
from netd.kinds import registry
from netd.kinds.base.setting_kind import ValueKind
from netd.model.change import Change, FieldDiff
from netd.model.desired import View
from netd.model.key import Key

from .decision import first, residue_fields
from .put_back import PutBack


class Undeclared:
    """Deletes what netd created, and restores what it found elsewhere."""

    def __init__(self, view: View, graph: DependencyGraph, put_back: PutBack) -> None:
        self._view = view
        self._graph = graph
        self._put_back = put_back

    def change(self, key: Key, record: Record, *, force: bool = False) -> Change | None:
        """What is to be done; None: nothing is left to do, the record is dropped.

        ``force``: it is deleted although netd did not make it.
        """
        kind, file = registry().get(key.kind), first(record.files)
        if kind is None or (kind.traits.taken_over and not force and key in self._graph.displaced_by):
            return None
        observed = kind.observe(key, record.locator, self._view, record.identity)
        if lacks_displaced(record, observed) and record.displaced_at(
            kind.expected_identity(key, record.locator, self._view)
        ):
            return Change(key, "delete", {}, file)
        if observed is None:
            return None
        if observed.residue:
            return Change(key, "update", residue_fields(observed), file, None, observed)
        whose = ownership(record, observed, kind)
        if force or May.DELETE in whose.may:
            fields = {name: FieldDiff(None, field.wrote) for name, field in record.fields.items()}
            return Change(key, "delete", fields, file, None, observed)
        if record.made or whose.identity is Identity.OTHER:
            return None
        back = self._put_back.fields(key, record.locator, record, observed)
        if not back and not (isinstance(kind, ValueKind) and record.displaced):
            return None
        return Change(key, "update", back, file, None, observed)
