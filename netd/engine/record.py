"""What the ledger keeps of one object, and how that is written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from netd.model.desired import Observed


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """A field that netd wrote: in the ledger ``[wrote, found]``, or ``[wrote, found, earlier]``.

    ``found``: the value before netd's first write, to be restored; None on an object that netd created. ``earlier``:
    what netd wrote before, until the kernel takes ``wrote``.
    """

    wrote: Any
    found: Any = None
    earlier: tuple[Any, ...] = ()

    def is_written(self, have: Any) -> bool:
        """Whether the kernel has what netd wrote."""
        return have == self.wrote or have in self.earlier

    def rewritten(self, want: Any, have: Any) -> FieldRecord:
        """Before netd writes ``want``: until the kernel takes it, what it ``have`` is still netd's."""
        return FieldRecord(want, self.found, (have,) if self.is_written(have) else ())

    def settled(self, have: Any) -> FieldRecord:
        """Once nothing is to be written any more: the kernel has this."""
        if not self.earlier:
            return self
        return FieldRecord(have if self.is_written(have) else self.wrote, self.found)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one object.

    ``state``: *intent* (about to be created), *made* (netd's own), *adopted* (found, kept as declared). ``identity``,
    ``locator``, ``displaced`` and ``claims`` are those of ``netd.model.desired``. ``memory``: values that are chosen
    once, such as MACs. ``files`` declare it.
    """

    state: Literal["intent", "made", "adopted"]
    identity: Mapping[str, Any] = field(default_factory=dict)
    locator: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, FieldRecord] = field(default_factory=dict)
    displaced: tuple[str, ...] = ()
    memory: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()

    @property
    def made(self) -> bool:
        """Whether netd created it, or was about to."""
        return self.state != "adopted"

    def displaced_at(self, place: Mapping[str, Any] | None) -> tuple[str, ...]:
        """What was displaced at this place; what was in a namespace that is gone is gone with it."""
        return self.displaced if self.identity in ({}, place) else ()


def settled(fields: Mapping[str, FieldRecord], observed: Observed) -> Mapping[str, FieldRecord]:
    """Once nothing is to be written any more: of what netd wrote, the kernel has this."""
    return {name: field.settled(observed.fields.get(name)) for name, field in fields.items()}


#: Names of parts in ledgers of netd 0.1: the kernel's state, and so its ledger, outlives an upgrade.
FORMER_PARTS = {"data": "locator", "foreign": "displaced"}
MAPPINGS = ("identity", "locator", "memory")
SEQUENCES = ("displaced", "files", "claims")


def record_json(record: Record) -> Mapping[str, Any]:
    """A record as JSON; what is empty is left out. (``asdict`` copies deeply, and costs ten times as much.)"""
    parts: dict[str, Any] = {"state": record.state}
    parts |= {name: value for name in (*MAPPINGS, *SEQUENCES) if (value := getattr(record, name))}
    if record.fields:
        parts["fields"] = {name: [one.wrote, one.found, *one.earlier] for name, one in record.fields.items()}
    return parts


def read_record(raw: Any) -> Record | None:
    """A record from its JSON, None where it is not one."""
    if not isinstance(raw, dict) or raw.get("state") not in ("intent", "made", "adopted"):
        return None
    raw = {FORMER_PARTS.get(name, name): value for name, value in raw.items()}
    parts: dict[str, Any] = {name: raw.get(name, {}) for name in (*MAPPINGS, "fields")}
    if not all(isinstance(value, dict) for value in parts.values()):
        return None
    if not all(isinstance(values, list) and len(values) in (2, 3) for values in parts["fields"].values()):
        return None
    parts["fields"] = {name: _read_field(*map(_without_lists, values)) for name, values in parts["fields"].items()}
    for name in SEQUENCES:
        value = raw.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return None
        parts[name] = tuple(value)
    return Record(raw["state"], **parts)


def _read_field(wrote: Any, found: Any, *earlier: Any) -> FieldRecord:
    return FieldRecord(wrote, found, earlier)


def _without_lists(value: Any) -> Any:
    """A value in the form of fields: JSON has no tuples."""
    return tuple(map(_without_lists, value)) if isinstance(value, list) else value
