"""What comes of comparing one object, and the texts that operators see of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netd.errors import KernelError
from netd.model.change import Change, FieldDiff
from netd.model.desired import Observed
from netd.model.key import Key
from netd.model.status import State


@dataclass(frozen=True, slots=True)
class Decision:
    """The state of one object, and the change that it calls for, if any.

    ``error``: something that it depends on could not be read, so that nothing else is known.
    """

    state: State
    reason: str = ""
    change: Change | None = None
    observed: Observed | None = None
    error: KernelError | None = None


def residue_fields(observed: Observed) -> Mapping[str, FieldDiff]:
    """What is to be removed of something that went by itself."""
    return {"left": FieldDiff(None, observed.residue)}


def first(files: tuple[str, ...]) -> str:
    """The file that kept the object."""
    return files[0] if files else ""


def conflict_text(observed: Observed) -> str:
    """Something else is in the place of a declared object."""
    return f"{observed.conflict} is already there; netd does not touch it: rename or remove one of the two"


def unchangeable_text(key: Key, differing: Mapping[str, FieldDiff], fixed: Iterable[str]) -> str:
    """A foreign object would have to be recreated to be as declared."""
    told = ", ".join(f"{name} is {differing[name].have}, not {differing[name].want}" for name in sorted(fixed))
    return f"the {key.kind} that is already there cannot be changed so: {told}; netd did not make it"


def diverged_text(change: Change) -> str:
    """Which values do not read back as they were written."""
    parts = [f"{name} reads back as {diff.have!r}, not {diff.want!r}" for name, diff in change.fields.items()]
    return "; ".join(parts) or "it is not there after it was made"
