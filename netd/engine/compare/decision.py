"""What comes of comparing one object, and the texts that operators see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netd.errors import KernelError
from netd.model.change import Change, FieldDiff
from netd.model.desired import Observed
from netd.model.key import Key
from netd.model.status import State, Unusable


@dataclass(frozen=True, slots=True)
class Decision:
    """The state of one object, and the change that it calls for, if any.

    ``error``: something that it depends on could not be read, so that nothing else is known. ``unusable``: it is as
    declared, and pending until it can be used.
    """

    state: State
    reason: str = ""
    change: Change | None = None
    observed: Observed | None = None
    error: KernelError | None = None
    unusable: Unusable | None = None


@dataclass(slots=True)
class Evaluation:
    """Several objects that are compared one after the other, with the decisions so far.

    ``withdraw``: whether what is no longer declared of an object goes back to what was found; else it stays for now.
    ``unready``: why nothing is to be built in a namespace yet, "" where it can be.
    """

    withdraw: Callable[[Key], bool]
    decisions: dict[Key, Decision] = field(default_factory=dict)
    unready: dict[str, str] = field(default_factory=dict)


def residue_fields(observed: Observed) -> Mapping[str, FieldDiff]:
    """What netd left behind, and removes."""
    return {"residue": FieldDiff(None, observed.residue)}


def first(files: tuple[str, ...]) -> str:
    """The file that a removed object was declared in."""
    return files[0] if files else ""


def conflict_text(observed: Observed) -> str:
    """Something else is in the place of a declared object."""
    return f"{observed.conflict} is already there; netd does not touch it: rename or remove one of the two"


def unchangeable_text(key: Key, differing: Mapping[str, FieldDiff], fixed: Iterable[str]) -> str:
    """A foreign object would have to be recreated to be as declared."""
    pairs = ((name, shown(differing[name].have), shown(differing[name].want)) for name in sorted(fixed))
    values = ", ".join(f"{name} is {have}, not {want}" for name, have, want in pairs)
    return f"the existing {key.kind} cannot be changed in place ({values}), and netd did not create it"


def shown(value: Any) -> Any:
    """A value of a field; "" as it is written in a file."""
    return '""' if value == "" else value


def diverged_text(change: Change) -> str:
    """Which values the kernel reads back otherwise than they were written."""
    parts = [f"{name} reads back as {diff.have!r}, not {diff.want!r}" for name, diff in change.fields.items()]
    return "; ".join(parts) or "it does not exist after it was created"
