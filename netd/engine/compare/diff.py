"""Compares one object: what the files want, what the kernel has, what the ledger remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ownership.rules import Identity, May, Proof, identity_of, lacks_displaced, permissions, proof_of
from netd.engine.record import Record
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.kinds.base.roles import BecomesUsable, KeepsAttributes
from netd.kinds.base.setting_kind import SettingKind
from netd.kinds.link.carry_over import others_on
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Change, FieldDiff
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.marks import GROUP
from netd.model.status import State

from .checks import Case, decide
from .decision import Decision, first, residue_fields
from .prerequisites import Prerequisites
from .put_back import PutBack

NOTHING = May(0)
NO_FIELDS: Mapping[str, FieldDiff] = MappingProxyType({})


class Comparison:
    """Compares objects within one evaluation.

    ``withdraw``: what is no longer declared goes back to what was found; else it stays for now.
    """

    def __init__(
        self,
        view: View,
        graph: DependencyGraph,
        records: Callable[[Key], Record | None],
        prerequisites: Prerequisites,
        *,
        withdraw: Callable[[Key], bool],
    ) -> None:
        self._view = view
        self._graph = graph
        self._records = records
        self._prerequisites = prerequisites
        self._withdraw = withdraw
        self._put_back = PutBack(view, graph, records)

    def evaluate(self, desired: Desired, record: Record | None) -> Decision:
        """Compares one declared object, of which the ledger has this record."""
        waits = self._prerequisites.not_ready(desired)
        if waits:
            return Decision(State.PENDING, waits)
        if desired.ends:
            desired = self._graph.resolved(desired)
        decision = decide(self._case(desired, record))
        change = decision.change
        if change is not None and change.action in ("create", "recreate"):
            self._prerequisites.announce(desired)
        if change is not None and change.action == "recreate":
            return replace(decision, change=self._with_carried_over(change, desired, record))
        kind = registry()[desired.key.kind]
        is_ok = decision.state is State.OK and change is None
        if is_ok and decision.observed is not None and isinstance(kind, BecomesUsable):
            unusable = kind.unusable(desired, decision.observed, self._view)
            if unusable is not None:
                return replace(decision, state=State.PENDING, reason=unusable.reason, unusable=unusable)
        return decision

    def _case(self, desired: Desired, record: Record | None) -> Case:
        """All that the decision on a declared object depends on."""
        key, kind, needs = desired.key, registry()[desired.key.kind], self._prerequisites
        leaving = None
        observed = kind.observe(key, desired.locator, self._view, record.identity if record else {})
        if observed is not None and observed.renamed_away:
            leaving = self._leave(desired, record)
            if leaving is None:
                observed = kind.observe(key, desired.locator, self._view)
        missing, links = needs.missing(desired), needs.absent(desired)
        is_owners = (kind.traits.is_foreign or desired.source) and (observed is None or observed.residue)
        reduced = _reduced(kind, desired, links)
        may, differing = NOTHING, NO_FIELDS
        if observed is not None:
            may = permissions(record, observed, kind)
            if not observed.conflict and not observed.residue:
                differing = self._differing(desired, reduced.fields, kind, record, observed, may)
        return Case(
            desired=desired,
            reduced=reduced,
            kind=kind,
            observed=observed,
            may=may,
            differing=differing,
            owes_restore=kind.traits.provides_links and record is not None and bool(record.displaced),
            missing=missing,
            reduced_by=needs.reduced_by(desired, links),
            owner=needs.owner(desired) if is_owners else "",
            blocked=bool(missing) and needs.is_blocked(desired),
            leaving=leaving,
        )

    def _leave(self, desired: Desired, record: Record | None) -> Change | None:
        """Removes netd's objects on a foreign link that was renamed, once another link has the name."""
        links = [self._view.link(*link) for link in (*desired.requires, *desired.provides)]
        if record is None or not all(links):
            return None
        renamed = self._view.link_at(desired.key.netns, int(record.identity.get("index", 0)))
        # One that netd made gets its name back.
        if renamed is None or renamed.group == GROUP:
            return None
        return self.evaluate_undeclared(desired.key, record)

    def _differing(
        self,
        desired: Desired,
        fields: Mapping[str, Any],
        kind: Kind,
        record: Record | None,
        observed: Observed,
        may: May,
    ) -> Mapping[str, FieldDiff]:
        """Which of these fields are not as declared, and those that netd wrote and no file declares any more."""
        wanted = fields
        # In the place of an entry that netd made, one is right that sends packets the same way.
        replaced = May.REPLACE in may and proof_of(kind) is Proof.MARK
        if (May.KEEP in may or replaced) and isinstance(kind, KeepsAttributes):
            wanted = {**kind.owned_fields(desired, record.memory if record is not None else {}), **fields}
        found = {name: FieldDiff(want, observed.fields.get(name)) for name, want in wanted.items()}
        differing = {name: diff for name, diff in found.items() if diff.have not in (diff.want, HIDDEN)}
        if record is None or not self._withdraw(desired.key):
            return differing
        moves = isinstance(kind, LinkKind) and kind.must_leave_namespace(desired.locator)
        if May.KEEP not in may and not moves and identity_of(record, observed) is Identity.OTHER:
            return differing
        back = self._put_back.fields(desired.key, desired.locator, record, observed, desired.fields.keys())
        if kind.traits.placement_fields & back.keys():
            # It leaves, as it was found.
            return self._put_back.fields(desired.key, desired.locator, record, observed)
        return differing | back

    def _with_carried_over(self, change: Change, desired: Desired, record: Record | None) -> Change:
        """A recreation, with what others put on netd's own: it is carried over."""
        assert change.observed is not None
        made = record is not None and record.state == "made"
        written = {name: field.wrote for name, field in record.fields.items()} if record is not None and made else None
        theirs = others_on(desired, written, self._view, self._is_made)
        return replace(change, observed=replace(change.observed, displaced=(*change.observed.displaced, *theirs)))

    def _is_made(self, key: Key) -> bool:
        record = self._records(key)
        return record is not None and record.made

    def evaluate_undeclared(self, key: Key, record: Record, *, force: bool = False) -> Change | None:
        """What becomes of an object that only the ledger knows; None: nothing is left to do, its record is dropped.

        ``force``: it is deleted although netd did not make it (``netd down --adopted``).
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
        if force or May.DELETE in permissions(record, observed, kind):
            fields = {name: FieldDiff(None, field.wrote) for name, field in record.fields.items()}
            return Change(key, "delete", fields, file, None, observed)
        if record.made or identity_of(record, observed) is Identity.OTHER:
            return None
        back = self._put_back.fields(key, record.locator, record, observed)
        if not back and not (isinstance(kind, SettingKind) and record.displaced):
            return None
        return Change(key, "update", back, file, None, observed)


def _reduced(kind: Kind, desired: Desired, missing: Set[LinkName]) -> Desired:
    """What can be had of an object while these links are missing."""
    if not missing or not isinstance(kind, LinkKind):
        return desired
    return replace(desired, fields=kind.reduced(desired, missing))
