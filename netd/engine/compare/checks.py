"""The decision on one declared object: checks in order, each pure; the first that has an answer decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import NamedTuple

from netd.engine.ownership.rules import May
from netd.kinds.base.kind import Kind
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Action, Change, FieldDiff
from netd.model.desired import Desired, Observed
from netd.model.status import State

from .decision import Decision, conflict_text, residue_fields, unchangeable_text


class Case(NamedTuple):
    """One declared object, and all that its decision depends on."""

    desired: Desired
    #: The same with the fields that can be had while some links are absent.
    reduced: Desired
    kind: Kind
    observed: Observed | None
    may: May
    #: Fields that are not as they should be; empty where nothing can be compared.
    differing: Mapping[str, FieldDiff]
    #: Something that netd displaced on a link is still to be restored.
    owes_restore: bool
    #: What it waits for before it can be built, "" for nothing.
    missing: str
    #: What it waits for while it is built reduced, "" for nothing.
    reduced_by: str
    #: What it waits for where netd does not make it and it is not there, "" where netd makes it.
    owner: str
    #: Whether a link that it needs failed, or is in conflict.
    blocked: bool
    #: What takes it off the link that it was on, where that was renamed.
    leaving: Change | None

    @property
    def fixed(self) -> Set[str]:
        """Differing fields that cannot be changed in place."""
        return self.kind.immutable_changes(self.differing) if isinstance(self.kind, LinkKind) else frozenset()

    def calls_for(
        self, action: Action, fields: Mapping[str, FieldDiff], desired: Desired, observed: Observed | None
    ) -> Decision:
        """A change; the object is pending still where it is built reduced."""
        change = Change(self.desired.key, action, fields, self.desired.file, desired, observed)
        return Decision(State.PENDING if self.reduced_by else State.OK, self.reduced_by, change, self.observed)


def on_renamed_link(case: Case) -> Decision | None:
    """It is removed from a link that was renamed, once another link has the name."""
    if case.leaving is None:
        return None
    return Decision(State.PENDING, "is removed from a link that was renamed", case.leaving)


def something_else(case: Case) -> Decision | None:
    """Something else is in its place: it is replaced where netd's own was there, else it is a conflict."""
    observed = case.observed
    if observed is None or not observed.conflict:
        return None
    if May.REPLACE not in case.may:
        return Decision(State.CONFLICT, conflict_text(observed), observed=observed)
    if case.missing:
        return Decision(State.PENDING, case.missing, observed=observed)
    return case.calls_for("recreate", {"state": FieldDiff("as declared", observed.conflict)}, case.reduced, observed)


def with_residue(case: Case) -> Decision | None:
    """What netd left at something that is gone, or is not meant any more, is removed first."""
    observed = case.observed
    if observed is None or not observed.residue:
        return None
    change = Change(case.desired.key, "update", residue_fields(observed), case.desired.file, case.desired, observed)
    waits = case.missing or (case.owner if case.desired.source else "")
    return Decision(State.PENDING if waits else State.OK, waits, change, observed)


def absent(case: Case) -> Decision | None:
    """It is not there: it is created, or waited for."""
    if case.observed is not None:
        return None
    if case.missing or case.owner:
        return Decision(State.PENDING, case.missing or case.owner)
    wanted = case.reduced.fields.items()
    fields = {name: FieldDiff(value, None) for name, value in wanted if name not in case.kind.traits.guard_fields}
    return case.calls_for("create", fields, case.reduced, None)


def as_declared(case: Case) -> Decision | None:
    """Nothing differs."""
    if case.differing or case.owes_restore:
        return None
    return Decision(State.PENDING if case.reduced_by else State.OK, case.reduced_by, observed=case.observed)


def not_replaceable(case: Case) -> Decision | None:
    """It cannot be changed in place, and it is not netd's to recreate."""
    if May.REPLACE in case.may or not case.fixed:
        return None
    reason = unchangeable_text(case.desired.key, case.differing, case.fixed)
    return Decision(State.CONFLICT, reason, observed=case.observed)


def blocked(case: Case) -> Decision | None:
    """It differs, but what it is on cannot be relied on."""
    if not case.missing or not case.blocked:
        return None
    return Decision(State.PENDING, case.missing, observed=case.observed)


def differs(case: Case) -> Decision | None:
    """It is recreated where it cannot be changed in place, else changed."""
    assert case.observed is not None
    if case.fixed:
        return case.calls_for("recreate", case.differing, case.reduced, case.observed)
    observed = replace(case.observed, includes_own=May.KEEP in case.may)
    return case.calls_for("update", case.differing, case.desired, observed)


CHECKS: tuple[Callable[[Case], Decision | None], ...] = (
    on_renamed_link,
    something_else,
    with_residue,
    absent,
    as_declared,
    not_replaceable,
    blocked,
    differs,
)


def decide(case: Case) -> Decision:
    """The decision on one declared object."""
    return next(decision for check in CHECKS if (decision := check(case)) is not None)
