"""What the ledger has to know before a plan is sent: what is about to be made, and what was found there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.record import FieldRecord, Record
from netd.kernel.session import Session
from netd.kinds import registry
from netd.kinds.base.setting_kind import ValueKind
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Change
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key

from .rules import is_own, state_before_write, without_other
from .settings import SettingRecorder


class Intents:
    """What is recorded before a plan, and while it is sent. ``mac_key``: MACs are derived with it."""

    def __init__(
        self, ledger: Ledger, view: View, graph: DependencyGraph, settings: SettingRecorder, mac_key: bytes
    ) -> None:
        self._ledger = ledger
        self._view = view
        self._graph = graph
        self._settings = settings
        self._mac_key = mac_key

    def owing(self) -> Mapping[Key, Record]:
        """Undeclared objects that declared ones displace, and that owe what they displaced themselves."""
        rivals = ((key, self._ledger.records.get(key)) for key in self._graph.displaced_by)
        return {key: record for key, record in rivals if record is not None and record.displaced}

    def record(self, change: Change, owing: Mapping[Key, Record], former: dict[Key, Record]) -> None:
        """Before an object is written: that it is about to be made, and what was found. ``Ledger.flush`` writes it.

        ``owing``: of this plan. ``former``: keeps the record of a link that is recreated, as it was before.
        """
        one, observed = self._graph.desired.get(change.key), change.observed
        if one is None or change.desired is None or (observed is not None and observed.residue):
            return
        kind, making = registry()[one.key.kind], change.action in ("create", "recreate")
        known = self._ledger.records.get(one.key)
        base = known or Record(state_before_write(kind, making=making))
        if isinstance(kind, ValueKind) and making:
            record = self._settings.before_create(one, base, self._graph)
        elif isinstance(kind, ValueKind):
            record = self._settings.before_update(one, change, base, self._graph)
        elif making:
            if base.state == "made" and kind.traits.provides_links:
                former[one.key] = base
            record = self._before_create(one, change, base)
        else:
            own = observed is not None and is_own(known, observed, kind)
            record = self._before_update(one, change, base, own=own)
        if observed is not None and observed.displaced:
            record = _displacing(record, observed)
        if owing:
            record = self._inherit_displaced(one, record, owing)
        self._ledger.keep(one, record)

    def _before_create(self, one: Desired, change: Change, base: Record) -> Record:
        kind = registry()[one.key.kind]
        wrote = change.desired.fields if change.desired is not None else one.fields
        place = kind.expected_identity(one.key, one.locator, self._view)
        chosen = kind.remember(one, base.memory, self._mac_key) if isinstance(kind, LinkKind) else {}
        # One that is recreated where it was has the identity that is recorded: nothing is in doubt.
        in_place = base.state == "made" and base.identity == place
        # What others had on a link that is recreated is owed, wherever netd was killed over it.
        stays = not base.displaced or kind.traits.provides_links
        return replace(
            base,
            state="made" if in_place else "intent",
            memory={**base.memory, **chosen},
            fields={name: FieldRecord(value) for name, value in wrote.items()},
            # Else the identity of the former one tells nothing of this one, unless the former is still to be deleted.
            identity=base.identity if in_place or change.action == "recreate" else {},
            displaced=base.displaced if stays else base.displaced_at(place),
        )

    def _before_update(self, one: Desired, change: Change, base: Record, *, own: bool) -> Record:
        if change.observed is not None and not own:
            base = without_other(one, base, change.observed)
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
                self._ledger.update(key, displaced=())
        return base

    # while it is sent ------------------------------------------------------------------------------------------

    def read_before_write(self, paths: Mapping[Key, str], session: Session) -> None:
        """Before these sysctls are written: what of them, and of those that change with them, was not known before."""
        self._settings.read_before_write(paths, session)

    def name_namespace(self, key: Key, cookie: int) -> None:
        """A namespace carries no mark: its cookie is recorded before it has its name, so before anyone sees it."""
        self._ledger.update(key, identity={"cookie": cookie})
        self._ledger.flush()

    def refused(self, key: Key, former: dict[Key, Record]) -> None:
        """The kernel refused to make it: what the ledger held before still is true of it.

        Another program may have been faster, and then netd did not delete its own object.
        """
        record, now = former.pop(key, None), self._ledger.records.get(key)
        if record is not None:
            # What others had on it may be lost by now, and is owed.
            self._ledger.put(key, replace(record, displaced=now.displaced if now is not None else ()))


def _displacing(record: Record, observed: Observed) -> Record:
    """Before foreign ones are displaced: netd's own is there then, until it is read known by its mark alone."""
    before = record.displaced_at(observed.identity)
    if not observed.marked and not set(observed.displaced) <= set(before):
        # netd's object was replaced by another program: what was there before is outdated.
        before = ()
    displaced = tuple(dict.fromkeys((*before, *observed.displaced)))
    return replace(record, state="intent" if record.state == "adopted" else record.state, displaced=displaced)
