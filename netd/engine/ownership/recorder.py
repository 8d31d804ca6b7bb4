"""Keeps the ledger true: before a write, after it, and when an object is found as declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.record import FieldRecord, Record
from netd.errors import KernelError, as_refusal
from netd.kernel.session import Session
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.kinds.base.setting_kind import SettingKind
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Change
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.key import Key

from .rules import found_on_another, is_own, state_as_found, state_before_write
from .settings import SettingRecorder


class LedgerRecorder:
    """Records what netd is about to make, what it found before, and what is its own. ``key``: of MACs (``mac_key``)."""

    def __init__(self, ledger: Ledger, view: View, key: bytes = b"") -> None:
        self.ledger = ledger
        self._key = key
        self._view = view
        self._settings = SettingRecorder(ledger)
        #: The records of links that are being recreated, as they were before.
        self._before: dict[Key, Record] = {}

    # found -----------------------------------------------------------------------------------------------------

    def record_found(self, one: Desired, observed: Observed, graph: DependencyGraph, *, withdrawn: bool) -> None:
        """An object is as declared: it is netd's own, or adopted.

        ``withdrawn``: fields that are no longer declared were restored.
        """
        kind, record = registry()[one.key.kind], self._record_as_found(one, observed)
        fields: Mapping[str, FieldRecord] = {
            name: field.settled(observed.fields.get(name))
            for name, field in record.fields.items()
            if not withdrawn or name in one.fields
        }
        if isinstance(kind, SettingKind):
            fields = self._settings.as_found(one, fields, observed, graph)
        identity = dict(observed.identity)
        displaced = record.displaced if kind.traits.provides_links else record.displaced_at(identity)
        memory = {**record.memory, **self._remembered(one, observed, record)}
        fresh = replace(
            record, identity=identity, displaced=displaced, fields=fields, memory=memory, **_declaration(one)
        )
        self.ledger.put(one.key, fresh)

    def _record_as_found(self, one: Desired, observed: Observed) -> Record:
        """The record of what was found, by the table of ownership."""
        kind, record = registry()[one.key.kind], self.ledger.get(one.key)
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
        return self._without_other(one, record, observed)

    def _without_other(self, one: Desired, record: Record, observed: Observed) -> Record:
        """Without the values of another link or namespace: to this one nothing was written yet."""
        kind = registry()[one.key.kind]
        moves = isinstance(kind, LinkKind) and kind.must_leave_namespace(one.locator)
        if moves or not found_on_another(record, observed):
            return record
        return replace(record, fields={}, identity=dict(observed.identity))

    # before a write --------------------------------------------------------------------------------------------

    def _remembered(self, one: Desired, observed: Observed, record: Record) -> Mapping[str, Any]:
        """Values that were chosen once, by a file since, or before the ledger was lost."""
        kind = registry()[one.key.kind]
        names = kind.remembered if record.state == "made" and isinstance(kind, LinkKind) else ()
        fresh = [name for name in names if name in one.fields or name not in record.memory]
        return {name: observed.fields[name] for name in fresh if observed.fields.get(name) not in (None, "", HIDDEN)}

    def record_intent(self, changes: Iterable[Change], graph: DependencyGraph) -> Mapping[Key, KernelError]:
        """Before anything is written: what is about to be made, and what was found. Returns what that failed for."""
        failed: dict[Key, KernelError] = {}
        rivals = ((key, self.ledger.get(key)) for key in graph.displaced_by)
        owing = {key: record for key, record in rivals if record is not None and record.displaced}
        for change in changes:
            one = graph.desired.get(change.key)
            if one is None or change.desired is None or (change.observed is not None and change.observed.residue):
                continue
            try:
                record = self._record_before(one, change, graph, owing)
            except Exception as error:
                failed[change.key] = as_refusal(error)
            else:
                self.ledger.put(change.key, replace(record, **_declaration(one)))
        self.ledger.flush()
        return failed

    def _record_before(
        self, one: Desired, change: Change, graph: DependencyGraph, owing: Mapping[Key, Record]
    ) -> Record:
        """The record of one object before it is written."""
        kind, making = registry()[one.key.kind], change.action in ("create", "recreate")
        known, observed = self.ledger.get(one.key), change.observed
        base = known or Record(state_before_write(kind, making=making))
        if isinstance(kind, SettingKind) and making:
            record = self._settings.before_create(one, base, graph)
        elif isinstance(kind, SettingKind):
            record = self._settings.before_update(one, change, base, graph)
        elif making:
            record = self._before_create(one, change, base)
        else:
            own = observed is not None and is_own(known, observed, kind)
            record = self._before_update(one, change, base, own=own)
        if observed is not None and observed.displaced:
            record = _displacing(record, observed)
        return self._inherit_displaced(one, record, owing) if owing else record

    def _before_create(self, one: Desired, change: Change, base: Record) -> Record:
        kind = registry()[one.key.kind]
        wrote = change.desired.fields if change.desired is not None else one.fields
        place = kind.expected_identity(one.key, one.locator, self._view)
        chosen = kind.remember(one, base.memory, self._key) if isinstance(kind, LinkKind) else {}
        if base.state == "made" and kind.traits.provides_links:
            self._before[one.key] = base
        # One that is recreated where it was has the identity that is recorded: nothing is in doubt.
        in_place = base.state == "made" and base.identity == place
        return replace(
            base,
            state="made" if in_place else "intent",
            memory={**base.memory, **chosen},
            fields={name: FieldRecord(value) for name, value in wrote.items()},
            # Else the identity of the former one tells nothing of this one, unless the former is still to be deleted.
            identity=base.identity if in_place or change.action == "recreate" else {},
            # What others had on a link that is recreated is owed, wherever netd was killed over it.
            displaced=base.displaced if kind.traits.provides_links else base.displaced_at(place),
        )

    def _before_update(self, one: Desired, change: Change, base: Record, *, own: bool) -> Record:
        if change.observed is not None and not own:
            base = self._without_other(one, base, change.observed)
        fields = dict(base.fields)
        for name, diff in change.fields.items():
            known = fields.get(name)
            if known is None:
                fields[name] = FieldRecord(diff.want, None if own else diff.have)
            elif name in one.fields:
                fields[name] = known.rewritten(diff.want, diff.have)
            # Else it goes back to what was found: until it has, what netd wrote is what tells that it may.
        return replace(base, fields=fields)

    def _inherit_displaced(self, one: Desired, base: Record, owing: Mapping[Key, Record]) -> Record:
        """What an undeclared object displaced (an address of another length) is displaced by its successor now."""
        place = registry()[one.key.kind].expected_identity(one.key, one.locator, self._view)
        for key, record in owing.items():
            if key.kind == one.key.kind and record.identity == place and not set(record.claims).isdisjoint(one.claims):
                base = replace(base, displaced=tuple(dict.fromkeys((*base.displaced, *record.displaced))))
                self.ledger.update(key, displaced=())
        return base

    def read_before_write(self, paths: Mapping[Key, str], session: Session) -> None:
        """Before these sysctls are written: what of them, and of those that change with them, was not known before."""
        self._settings.read_before_write(paths, session)

    def name_namespace(self, key: Key, cookie: int) -> None:
        """A namespace carries no mark: its cookie is recorded before it has its name, so before anyone sees it."""
        self.ledger.update(key, identity={"cookie": cookie})
        self.ledger.flush()

    # after a write ---------------------------------------------------------------------------------------------

    def record_made(self, change: Change, *, owing: bool) -> None:
        """The kernel took it. Its identity follows when it is read; until then a crash leaves it to its mark.

        ``owing``: not all that was displaced could be restored yet.
        """
        self._before.pop(change.key, None)
        kind, record = registry()[change.key.kind], self.ledger.get(change.key)
        if record is None:
            return
        if change.desired is None:
            record = _as_withdrawn(kind, change, record)
        elif change.action != "update":
            if record.state == "intent" and not isinstance(kind, SettingKind):
                record = replace(record, state="made", identity=record.identity if change.action == "create" else {})
        elif kind.traits.placement_fields & change.fields.keys() - change.desired.fields.keys():
            # It is somewhere else now, and as it was found there.
            record = replace(record, fields={}, identity={})
        elif kind.traits.provides_links and not owing:
            record = replace(record, displaced=())
        self.ledger.put(change.key, record)

    def record_refused(self, key: Key) -> None:
        """The kernel refused to make it: what the ledger held before still is true of it.

        Another program may have been faster, and then netd did not delete its own object.
        """
        record, now = self._before.pop(key, None), self.ledger.get(key)
        if record is not None:
            # What others had on it may be lost by now, and is owed.
            self.ledger.put(key, replace(record, displaced=now.displaced if now is not None else ()))

    def as_left(self, change: Change) -> bool:
        """Whether nobody broke anything: its owner ended it, or all that differs is as netd wrote it before what it
        follows changed."""
        if change.observed is not None and change.observed.residue:
            return True
        record = self.ledger.get(change.key)
        written = record.fields if record is not None else {}
        still = [name in written and bool(written[name].earlier) for name in change.fields]
        return change.action == "update" and bool(still) and all(still)


def _declaration(one: Desired) -> dict[str, Any]:
    """The parts of a record that the files say."""
    files = tuple(dict.fromkeys(origin.file for origin in one.origins))
    return {"locator": dict(one.locator), "files": files, "claims": one.claims}


def _displacing(record: Record, observed: Observed) -> Record:
    """Before foreign ones are displaced: netd's own is there then, until it is read known by its mark alone."""
    before = record.displaced_at(observed.identity)
    if not observed.marked and not set(observed.displaced) <= set(before):
        # netd's object was replaced by another program: what was there before is outdated.
        before = ()
    displaced = tuple(dict.fromkeys((*before, *observed.displaced)))
    return replace(record, state="intent" if record.state == "adopted" else record.state, displaced=displaced)


def _as_withdrawn(kind: Kind, change: Change, record: Record) -> Record:
    """The present object counts as foreign, even if it is equal; and a renamed link is not tracked any more."""
    if change.observed is not None and change.observed.renamed_away:
        record = replace(record, state="adopted", fields={}, identity={})
    elif record.displaced and not (kind.traits.has_mark or isinstance(kind, SettingKind)):
        record = replace(record, state="adopted", fields={})
    return replace(record, displaced=())
