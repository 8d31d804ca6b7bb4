"""What was found of values that netd only writes (sysctls), each before its first write.

Some cannot be read when they are planned, because the link that they are about is not there yet; and some change
others when they are written. Both are read just before the write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.record import FieldRecord, Record
from netd.kernel.session import Session
from netd.kinds import registry
from netd.kinds.base.setting_kind import ValueKind
from netd.model.change import Change
from netd.model.desired import Desired, Observed
from netd.model.key import Key
from netd.model.marks import GROUP

from .rules import found_on_another


class SettingRecorder:
    """Keeps the records of objects whose kind ``is_setting``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: To be read before the write: what they are about was not there when they were planned.
        self._unread: set[Key] = set()
        #: Written for the first time, and the kernel may change others with them.
        self._unwritten: set[Key] = set()

    def before_create(self, one: Desired, base: Record, graph: DependencyGraph) -> Record:
        """Before the first write of a value that cannot be read yet."""
        if not self._is_on_own_link(one, graph):
            self._unread.add(one.key)
        self._unwritten.add(one.key)
        fields = {name: FieldRecord(value) for name, value in one.fields.items()}
        return replace(base, state="adopted", fields=fields, identity={})

    def before_update(self, one: Desired, change: Change, base: Record, graph: DependencyGraph) -> Record:
        """Before a value is written that was read."""
        self._unread.discard(one.key)
        own = self._is_on_own_link(one, graph)
        if not own and change.observed is not None and found_on_another(base, change.observed):
            base = replace(base, fields={}, identity=dict(change.observed.identity))
        fields = dict(base.fields)
        for name, diff in change.fields.items():
            if name not in fields:
                found = None if own else self._value_before_side_effect(one, diff.have)
                fields[name] = FieldRecord(diff.want, found)
            else:
                fields[name] = fields[name].rewritten(diff.want, diff.have)
                if fields[name].found is None and not own:
                    # It was to be read before the first write, and netd was killed before.
                    fields[name] = replace(fields[name], found=diff.have)
            if fields[name].found == diff.have and not base.displaced:
                self._unwritten.add(one.key)
        return replace(base, fields=fields)

    def as_found(
        self, one: Desired, fields: Mapping[str, FieldRecord], observed: Observed, graph: DependencyGraph
    ) -> Mapping[str, FieldRecord]:
        """The fields of a value that is as declared."""
        kind = registry()[one.key.kind]
        known = isinstance(kind, ValueKind) and kind.has_default
        if known or all(field.found is not None for field in fields.values()) or self._is_on_own_link(one, graph):
            return fields
        # netd was killed before it read the value, and another program wrote the same one.
        return {name: FieldRecord(field.wrote, observed.fields.get(name)) for name, field in fields.items()}

    def read_before_write(self, paths: Mapping[Key, str], session: Session) -> None:
        """Reads what could not be read before, and what the kernel changes with these; the file is written once."""
        for key in self._unread.intersection(paths):
            value, record = session.sysctl(paths[key]), self._ledger.records.get(key)
            if value is not None and record is not None:
                self._unread.discard(key)
                fields = {name: FieldRecord(field.wrote, value) for name, field in record.fields.items()}
                self._ledger.update(key, fields=fields)
        for key in self._unwritten.intersection(paths):
            self._unwritten.discard(key)
            self._read_side_effects(key, session.sysctl(paths[key]), session)
        self._ledger.flush()

    def _read_side_effects(self, key: Key, before: str | None, session: Session) -> None:
        """Of the values that the kernel changes with this one, those that are otherwise now are displaced by it."""
        kind = registry()[key.kind]
        if before is None or not isinstance(kind, ValueKind) or not kind.side_effects(key, before, ()):
            return
        others = [link.name for link in session.links() if link.group != GROUP]
        same = kind.side_effects(key, before, others)
        found = {path: value for path in same if (value := session.sysctl(path)) not in (None, same[path])}
        self._ledger.update(key, displaced=tuple(f"{path}={value}" for path, value in found.items()))

    def _value_before_side_effect(self, one: Desired, have: Any) -> Any:
        """What a value was before netd wrote another one with which the kernel changed it."""
        kind = registry()[one.key.kind]
        assert isinstance(kind, ValueKind)
        cause, path = kind.changed_by(one.key) or (None, "")
        record = self._ledger.records.get(cause) if cause is not None else None
        if cause is None or record is None or record.made or cause in self._unwritten:
            return have
        links = [link.name for link in one.requires]
        field = record.fields.get("value")
        if field is None or field.found is None or kind.side_effects(cause, field.wrote, links).get(path) != have:
            return have
        known = dict(entry.partition("=")[::2] for entry in record.displaced)
        return known.get(path, kind.side_effects(cause, field.found, links).get(path, have))

    def _is_on_own_link(self, one: Desired, graph: DependencyGraph) -> bool:
        """Whether it is a value of a link that netd made, or is about to make: the kernel's default was found there."""
        providers = [provider for link in one.requires if (provider := graph.providers.get(link)) is not None]
        created = [provider for provider in providers if registry()[provider.kind].traits.provides_links]
        return any(record.made for provider in created if (record := self._ledger.records.get(provider)) is not None)
