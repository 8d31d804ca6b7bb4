"""Keeps the ledger true: before a write, after it, and when an object is found as declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.record import FieldRecord, Record
from netd.errors import KernelError, as_refusal
from netd.kernel.session import Session
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.model.change import Change
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key
from netd.model.marks import GROUP

from .rules import is_own, same_identity, state_as_found, state_before_write


class LedgerRecorder:
    """Writes down what netd is about to make, what it found, and what is its own. ``key``: of MACs (``mac_key``)."""

    def __init__(self, ledger: Ledger, view: View, key: bytes = b"") -> None:
        self.ledger = ledger
        self._key = key
        self._view = view
        #: Values that could not be read when they were planned: what they are values of was not there yet.
        self._unread: set[Key] = set()
        #: Values that are written for the first time, with which the kernel may change others.
        self._unwritten: set[Key] = set()
        #: What the ledger held of links that are being made again.
        self._before: dict[Key, Record] = {}

    def record_found(self, one: Desired, observed: Observed, graph: DependencyGraph, *, withdrawn: bool) -> None:
        """What is as declared is netd's own, or adopted."""
        kind, record = registry()[one.key.kind], self.ledger.get(one.key)
        files = tuple(dict.fromkeys(origin.file for origin in one.origins))
        if one.source and record is not None:
            # Another's namespace is not netd's own, whichever had its name before.
            record = replace(record, state="adopted")
        state = state_as_found(record, observed, kind)
        if record is None:
            fresh = Record(state)
        elif state == "made":
            fresh = record if record.state == "made" else replace(record, state="made")
        elif record.made:
            # Someone recreated it as declared: it is theirs.
            fresh = Record("adopted", memory=record.memory)
        else:
            fresh = self._of_this_one(one, record, observed)
        fields = {
            name: field.settled(observed.fields.get(name))
            for name, field in fresh.fields.items()
            if not withdrawn or name in one.fields
        }
        if (
            kind.is_setting
            and any(field.found is None for field in fields.values())
            and not self._of_netds_own(one, graph)
        ):
            # It was to be read before the first write, netd was killed before, and it already is as it should be.
            fields = {name: FieldRecord(field.wrote, observed.fields.get(name)) for name, field in fields.items()}
        identity = dict(observed.identity)
        foreign = fresh.displaced if kind.provides_links else fresh.displaced_at(identity)
        fresh = replace(
            fresh,
            identity=identity,
            displaced=foreign,
            locator=dict(one.locator),
            files=files,
            claims=one.claims,
            fields=fields,
        )
        self.ledger.put(one.key, fresh)

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
                record = self._intended(one, change, graph, owing)
            except Exception as error:
                failed[change.key] = as_refusal(error)
                continue
            self.ledger.put(change.key, record)
        self.ledger.flush()
        return failed

    def _intended(self, one: Desired, change: Change, graph: DependencyGraph, owing: Mapping[Key, Record]) -> Record:
        """What is written down before one change."""
        kind = registry()[change.key.kind]
        making = change.action in ("create", "recreate")
        base = self.ledger.get(change.key)
        if base is None:
            base = Record(state_before_write(kind, making=making))
        if not making:
            base = self._changing(one, change, base, graph)
        elif kind.is_setting:
            base = self._setting(one, base, graph)
        else:
            base = self._making(one, change, base)
        if change.observed is not None and change.observed.displaced:
            base = self._giving_way(base, change.observed)
        if owing:
            base = self._heir(one, base, owing)
        files = tuple(dict.fromkeys(origin.file for origin in one.origins))
        return replace(base, locator=dict(one.locator), files=files, claims=one.claims)

    def _heir(self, one: Desired, base: Record, owing: Mapping[Key, Record]) -> Record:
        """What gave way to netd's own that makes room now (an address of another length) waits for this one to go."""
        place = registry()[one.key.kind].expected_identity(one.key, one.locator, self._view)
        for key, record in owing.items():
            if key.kind == one.key.kind and record.identity == place and not set(record.claims).isdisjoint(one.claims):
                base = replace(base, displaced=tuple(dict.fromkeys((*base.displaced, *record.displaced))))
                self.ledger.update(key, displaced=())
        return base

    def _giving_way(self, base: Record, observed: Observed) -> Record:
        """Before others' make room: netd's own stands there then, until it is read by its mark alone."""
        before = base.displaced_at(observed.identity)
        if not observed.marked and not set(observed.displaced) <= set(before):
            # Somebody put another in the place of netd's: what was there before is not what they want now.
            before = ()
        foreign = tuple(dict.fromkeys((*before, *observed.displaced)))
        return replace(base, state="intent" if base.state == "adopted" else base.state, displaced=foreign)

    def _setting(self, one: Desired, base: Record, graph: DependencyGraph) -> Record:
        """Before the first write of a value that nobody can read yet."""
        if not self._of_netds_own(one, graph):
            self._unread.add(one.key)
        self._unwritten.add(one.key)
        fields = {name: FieldRecord(value) for name, value in one.fields.items()}
        return replace(base, state="adopted", fields=fields, identity={})

    def _making(self, one: Desired, change: Change, base: Record) -> Record:
        """Before an object is made."""
        kind = registry()[one.key.kind]
        memory = {**base.memory, **kind.remember(one, base.memory, self._key)}
        wrote = change.desired.fields if change.desired is not None else one.fields
        fields = {name: FieldRecord(value) for name, value in wrote.items()}
        # One that is made again where it was has the identity that is written down: nothing is in doubt.
        place = kind.expected_identity(one.key, one.locator, self._view)
        again = base.state == "made" and base.identity == place
        # Else, of the one before this tells nothing, unless that one is still to go.
        identity = base.identity if again or change.action == "recreate" else {}
        state: Literal["made", "intent"] = "made" if again else "intent"
        if base.state == "made" and kind.provides_links:
            self._before[one.key] = base
        # What others had on a link that is made again is owed, wherever netd was killed over it.
        foreign = base.displaced if kind.provides_links else base.displaced_at(place)
        return replace(base, state=state, memory=memory, fields=fields, identity=identity, displaced=foreign)

    def _changing(self, one: Desired, change: Change, base: Record, graph: DependencyGraph) -> Record:
        """Before fields of an object are written: what they were before netd wrote them for the first time."""
        kind = registry()[one.key.kind]
        self._unread.discard(one.key)
        mine = change.observed is not None and is_own(self.ledger.get(one.key), change.observed, kind)
        if kind.is_setting and change.observed is not None:
            mine = self._of_netds_own(one, graph)
        if change.observed is not None and not mine:
            base = self._of_this_one(one, base, change.observed)
        fields = dict(base.fields)
        for name, diff in change.fields.items():
            if name in fields and name not in one.fields:
                # It goes back to what it was: until it has, what netd wrote is what tells that it may.
                continue
            if name in fields:
                fresh = fields[name].rewritten(diff.want, diff.have)
            else:
                fresh = FieldRecord(diff.want, None if mine else diff.have)
            if kind.is_setting and not mine and name not in fields:
                fresh = replace(fresh, found=self._before_the_wide(one, kind, diff.have))
            elif kind.is_setting and not mine and fresh.found is None:
                # It was to be read before the first write, and netd was killed before.
                fresh = replace(fresh, found=diff.have)
            if kind.is_setting and fresh.found == diff.have and not base.displaced:
                self._unwritten.add(one.key)
            fields[name] = fresh
        return replace(base, fields=fields)

    def _before_the_wide(self, one: Desired, kind: Kind, have: Any) -> Any:
        """What a value was before netd wrote another one with which the kernel changed it."""
        wide, path = kind.changed_by(one.key) or (None, "")
        record = self.ledger.get(wide) if wide is not None else None
        if wide is None or record is None or record.made or wide in self._unwritten:
            return have
        links = [link.name for link in one.requires]
        field = record.fields.get("value")
        if field is None or field.found is None or kind.side_effects(wide, field.wrote, links).get(path) != have:
            return have
        known = dict(entry.partition("=")[::2] for entry in record.displaced)
        return known.get(path, kind.side_effects(wide, field.found, links).get(path, have))

    def _of_this_one(self, one: Desired, base: Record, observed: Observed) -> Record:
        """Without what was found on another link, or in another namespace, than this: to this nothing was written yet.

        One that moves between namespaces has another index there.
        """
        moves = registry()[one.key.kind].must_leave_namespace(one.locator)
        if moves or not base.identity or not observed.identity or same_identity(base, observed):
            return base
        return replace(base, fields={}, identity=dict(observed.identity))

    def record_refused(self, key: Key) -> None:
        """The kernel refused to make it: what the ledger held before still is true of it.

        Somebody may have been quicker, and then netd's own was not deleted by netd.
        """
        record, now = self._before.pop(key, None), self.ledger.get(key)
        if record is not None:
            # What others had on it may be lost by now, and is owed.
            self.ledger.put(key, replace(record, displaced=now.displaced if now is not None else ()))

    def _of_netds_own(self, one: Desired, graph: DependencyGraph) -> bool:
        """Whether it is a value of a link that netd made, or is about to make: the kernel's default was found there."""
        providers = [provider for link in one.requires if (provider := graph.providers.get(link)) is not None]
        records = [self.ledger.get(provider) for provider in providers if registry()[provider.kind].provides_links]
        return any(record is not None and record.made for record in records)

    def as_left(self, change: Change) -> bool:
        """Whether nobody broke anything: its owner ended it, or all that differs still is as netd wrote it, and what
        it follows has changed."""
        if change.observed is not None and change.observed.residue:
            return True
        record = self.ledger.get(change.key)
        written = record.fields if record is not None else {}
        still = [name in written and bool(written[name].earlier) for name in change.fields]
        return change.action == "update" and bool(still) and all(still)

    def read_before_write(self, paths: Mapping[Key, str], session: Session) -> None:
        """Before the first write of these: what the values are that nobody could know before, and those of others that
        the kernel changes with them. One write of the file."""
        for key in self._unread.intersection(paths):
            value, record = session.sysctl(paths[key]), self.ledger.get(key)
            if value is not None and record is not None:
                self._unread.discard(key)
                fields = {name: FieldRecord(field.wrote, value) for name, field in record.fields.items()}
                self.ledger.update(key, fields=fields)
        for key in self._unwritten.intersection(paths):
            self._unwritten.discard(key)
            self._find_along(key, session.sysctl(paths[key]), session)
        self.ledger.flush()

    def _find_along(self, key: Key, before: str | None, session: Session) -> None:
        kind = registry()[key.kind]
        if before is None or not kind.side_effects(key, before, ()):
            return
        others = [link.name for link in session.links() if link.group != GROUP]
        left = kind.side_effects(key, before, others)
        found = {path: value for path in left if (value := session.sysctl(path)) not in (None, left[path])}
        self.ledger.update(key, displaced=tuple(f"{path}={value}" for path, value in found.items()))

    def name_namespace(self, key: Key, cookie: int) -> None:
        """A namespace carries no mark: its cookie is written down before it has its name, so before anyone sees it."""
        self.ledger.update(key, identity={"cookie": cookie})
        self.ledger.flush()

    def record_made(self, change: Change, *, owing: bool) -> None:
        """The kernel took it. Its identity follows when it is read; until then a crash leaves it to its mark.

        ``owing``: not all of what gave way could be put back yet.
        """
        self._before.pop(change.key, None)
        kind, record = registry()[change.key.kind], self.ledger.get(change.key)
        if record is None:
            return
        if change.desired is None:
            record = self._without_it(kind, change, record)
        if change.desired is not None and kind.placement_fields & change.fields.keys() - change.desired.fields.keys():
            # It is somewhere else now, and as it was found there.
            record = replace(record, fields={}, identity={})
        if change.desired is None or (kind.provides_links and change.action == "update" and not owing):
            # What gave way was put back, as far as it could be.
            record = replace(record, displaced=())
        if change.action in ("create", "recreate") and not kind.is_setting and record.state == "intent":
            record = replace(record, state="made", identity=record.identity if change.action == "create" else {})
        self.ledger.put(change.key, record)

    def _without_it(self, kind: Kind, change: Change, record: Record) -> Record:
        """What stands there now is not netd's, however alike; and of a link that was renamed netd knows no more."""
        if change.observed is not None and change.observed.renamed_away:
            return replace(record, state="adopted", fields={}, identity={})
        if record.displaced and not (kind.has_mark or kind.is_setting):
            return replace(record, state="adopted", fields={})
        return record
