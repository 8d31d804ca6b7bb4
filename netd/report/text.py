"""Changes and states as an operator wants to read them, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from netd.config import FileState
from netd.model.change import Change, FieldDiff
from netd.model.desired import Desired
from netd.model.key import Key
from netd.model.status import State, Status

#: Version of the JSON below: raised if a member changes its meaning or is removed, not if one is added.
JSON_VERSION = 1
#: A state as the end of a sentence about an object.
STATES = {
    State.OK: "is ok",
    State.PENDING: "is pending",
    State.FAILED: "has failed",
    State.CONTENDED: "is contended",
    State.DIVERGED: "has diverged",
    State.CONFLICT: "is in conflict",
    State.ORPHAN: "is an orphan",
}
SIGNS = {"create": "+", "update": "~", "recreate": "!", "delete": "-"}


def rfc3339(when: float) -> str:
    """Seconds since the epoch as "2026-11-29T20:15:00.123456Z"."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def value_text(value: Any) -> str:
    """A value as it is written in a file; "-" if there is none."""
    if value is None or value in ("", ()):
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ", ".join(hop_text(one) if isinstance(one, tuple | list) else value_text(one) for one in value)
    return str(value)


def hop_text(hop: Sequence[Any]) -> str:
    """A route's hop as ip(8) writes it."""
    via, dev, weight = hop
    parts = [f"via {via}" if via else "", f"dev {dev}" if dev else "", f"weight {weight}" if weight != 1 else ""]
    return " ".join(part for part in parts if part)


def json_value(value: Any) -> Any:
    """A value as JSON: a tuple becomes a list, and what JSON cannot express a text."""
    if isinstance(value, tuple | list):
        return [json_value(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def fields_json(fields: Mapping[str, FieldDiff]) -> dict[str, Any]:
    """{"mtu": {"want": 1400, "have": 1500}}."""
    return {name: {"want": json_value(diff.want), "have": json_value(diff.have)} for name, diff in fields.items()}


def fields_line(fields: Mapping[str, FieldDiff]) -> str:
    """ "mtu 1500 → 1400, up false → true": have → want."""
    return ", ".join(f"{name} {value_text(diff.have)} → {value_text(diff.want)}" for name, diff in fields.items())


def change_lines(change: Change) -> Iterable[str]:
    """The object, what is done to it and which file says so; then a line for each field."""
    where = f"   ({change.file})" if change.file else ""
    yield f"{SIGNS[change.action]} {change.action:8} {change.key}{where}"
    if change.action == "delete":
        return
    for name, diff in change.fields.items():
        yield f"      {name}: {value_text(diff.have)} → {value_text(diff.want)}"


def changes_json(changes: Iterable[Change], rows: Iterable[Status]) -> dict[str, Any]:
    """What ``netd diff --json`` and ``netd apply --json`` print."""
    return {
        "version": JSON_VERSION,
        "changes": [
            {"object": str(one.key), "action": one.action, "fields": fields_json(one.fields), "file": one.file}
            for one in changes
        ],
        "pending": [{"object": str(row.key), "reason": row.reason} for row in rows if row.state is State.PENDING],
        "troubles": [
            {"object": str(row.key), "state": row.state.value, "reason": row.reason}
            for row in rows
            if row.state not in (State.OK, State.PENDING)
        ],
        "faults": [{"object": str(row.key), "fault": row.fault} for row in rows if row.fault],
    }


def state_lines(rows: Iterable[Status]) -> Iterable[str]:
    """One line for each object that is not simply ok."""
    for row in rows:
        if row.state is not State.OK:
            yield f"{row.state.value:9} {row.key}: {row.reason}" if row.reason else f"{row.state.value:9} {row.key}"


def state_line(row: Status) -> str:
    """ "vxlan/vxlan0 is pending: waits for eth1"."""
    return f"{row.key} {STATES[row.state]}" + (f": {row.reason}" if row.reason else "")


def file_json(file: FileState, warnings: Collection[str], since: float | None, last_good: bool) -> dict[str, Any]:
    """One file, or the directory that cannot be read, of ``netd status --json``.

    ``since``: when it was changed last, None where it is in force as written. ``last_good``: whether its last good
    version has been in force since then; else nothing of it is.
    """
    found = {"path": file.path, "state": file.state, "errors": list(file.errors), "warnings": list(warnings)}
    return found if since is None else {**found, "since": since, "last_good": last_good}


def status_json(row: Status, desired: Desired | None) -> dict[str, Any]:
    """One row of ``netd status --json``. ``links``: those that the object creates, also the other end of a pair."""
    links = [str(link) for link in desired.provides] if desired is not None else []
    return {
        "object": str(row.key),
        "kind": row.key.kind,
        "namespace": row.key.netns,
        "name": row.key.name,
        "file": row.file,
        "state": row.state.value,
        "reason": row.reason,
        "repairs": row.repairs,
        "last_repair": row.last_repair,
        **({"links": links} if links else {}),
        **({"fault": row.fault} if row.fault else {}),
    }


def whole_json(head: Mapping[str, Any], objects: Iterable[bytes]) -> bytes:
    """What ``netd status --json`` prints, of objects that are JSON already (``objects_json``)."""
    begin = json.dumps({"version": JSON_VERSION, **head}).encode()[:-1]
    return begin + b', "objects": [' + b", ".join(objects) + b"]}\n"


def objects_json(rows: Iterable[Status], desired: Mapping[Key, Desired]) -> bytes:
    """Some rows of ``netd status --json``, without the brackets; b"" for none."""
    return json.dumps([status_json(row, desired.get(row.key)) for row in rows]).encode()[1:-1]
