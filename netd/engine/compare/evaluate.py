"""Compares one object: what the files want, what the kernel has, what the ledger remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ownership.rules import Identity, May, Ownership, Proof, ownership
from netd.engine.record import Record
from netd.engine.status.objects import ObjectStates
from netd.errors import as_refusal
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.kinds.base.roles import BecomesUsable, KeepsAttributes
from netd.kinds.link.carry_over import others_on
from netd.kinds.link.link_kind import LinkKind
from netd.model.change import Change, FieldDiff
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.marks import GROUP
from netd.model.status import State

from .checks import Case, decide
from .decision import Decision, Evaluation
from .prerequisites import Needs, Prerequisites
from .put_back import PutBack
from .undeclared import Undeclared

NOTHING = Ownership(May(0), Proof.IDENTITY, Identity.UNREAD)
NO_FIELDS: Mapping[str, FieldDiff] = MappingProxyType({})


class Evaluator:
    """Decides on objects by the kernel's state.

    ``missing`` says what is waited for where an attached namespace is not there.
    """

    def __init__(
        self,
        graph: DependencyGraph,
        states: ObjectStates,
        records: Mapping[Key, Record],
        view: View,
        missing: Callable[[str], str],
    ) -> None:
        self._graph = graph
        self._records = records
        self._view = view
        self._prerequisites = Prerequisites(view, graph, states, records, missing)
        self._put_back = PutBack(view, graph, records)
        self._undeclared = Undeclared(view, graph, self._put_back)
        #: Undeclared objects that are deleted although netd did not create them (``netd down --adopted``).
        self.forced: set[Key] = set()

    def evaluate(self, key: Key, evaluation: Evaluation) -> Decision:
        """Compares one object, after those that it depends on. An exception concerns this object alone."""
        one, record = self._graph.desired.get(key), self._records.get(key)
        decision = Decision(State.OK)
        try:
            if one is not None:
                decision = self._declared(one, record, evaluation)
            elif record is not None:
                decision = Decision(State.OK, change=self._undeclared.change(key, record, force=key in self.forced))
        except Exception as error:
            refusal = as_refusal(error)
            decision = Decision(State.FAILED, f"cannot be read: {refusal}", error=refusal)
        evaluation.decisions[key] = decision
        return decision

    def _declared(self, desired: Desired, record: Record | None, evaluation: Evaluation) -> Decision:
        needs = self._prerequisites.needs(desired, evaluation)
        if needs.conflict:
            return Decision(State.CONFLICT, needs.conflict)
        if needs.not_ready:
            return Decision(State.PENDING, needs.not_ready)
        if desired.ends and self._graph.auto_mtu.keys:
            desired = self._graph.resolved(desired)
        kind = registry()[desired.key.kind]
        decision = decide(self._case(desired, kind, record, needs, evaluation))
        change = decision.change
        if change is not None and change.action == "recreate":
            return replace(decision, change=self._with_carried_over(change, desired, record))
        is_ok = decision.state is State.OK and change is None
        if is_ok and decision.observed is not None and isinstance(kind, BecomesUsable):
            unusable = kind.unusable(desired, decision.observed, self._view)
            if unusable is not None:
                return replace(decision, state=State.PENDING, reason=unusable.reason, unusable=unusable)
        return decision

    def _case(self, desired: Desired, kind: Kind, record: Record | None, needs: Needs, evaluation: Evaluation) -> Case:
        """All that the decision on a declared object depends on."""
        key, leaving = desired.key, None
        observed = kind.observe(key, desired.locator, self._view, record.identity if record else {})
        if observed is not None and observed.renamed_away:
            leaving = self._leave(desired, record)
            if leaving is None:
                observed = kind.observe(key, desired.locator, self._view)
        is_owners = (kind.traits.is_foreign or desired.source) and (observed is None or observed.residue)
        reduced = _reduced(kind, desired, needs.absent) if needs.absent else desired
        whose, differing = NOTHING, NO_FIELDS
        if observed is not None:
            whose = ownership(record, observed, kind)
            if not observed.conflict and not observed.residue:
                differing = self._differing(desired, reduced.fields, kind, record, observed, whose, evaluation)
        return Case(
            desired=desired,
            reduced=reduced,
            kind=kind,
            observed=observed,
            may=whose.may,
            differing=differing,
            owes_restore=kind.traits.provides_links and record is not None and bool(record.displaced),
            missing=needs.missing,
            reduced_by=needs.reduced_by,
            owner=self._prerequisites.owner(desired, evaluation) if is_owners else "",
            blocked=needs.blocked,
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
        return self._undeclared.change(desired.key, record)

    def _differing(
        self,
        desired: Desired,
        fields: Mapping[str, Any],
        kind: Kind,
        record: Record | None,
        observed: Observed,
        whose: Ownership,
        evaluation: Evaluation,
    ) -> Mapping[str, FieldDiff]:
        """Which of these fields are not as declared, and those that netd wrote and no file declares any more."""
        key, wanted = desired.key, fields
        # In the place of an entry that netd made, one is right that sends packets the same way.
        replaced = May.REPLACE in whose.may and whose.proof is Proof.MARK
        if (May.KEEP in whose.may or replaced) and isinstance(kind, KeepsAttributes):
            wanted = {**kind.owned_fields(desired, record.memory if record is not None else {}), **fields}
        found = {name: FieldDiff(want, observed.fields.get(name)) for name, want in wanted.items()}
        differing = {name: diff for name, diff in found.items() if diff.have not in (diff.want, HIDDEN)}
        if record is None or record.fields.keys() <= desired.fields.keys() or not evaluation.withdraw(key):
            return differing
        moves = isinstance(kind, LinkKind) and kind.must_leave_namespace(desired.locator)
        if May.KEEP not in whose.may and not moves and whose.identity is Identity.OTHER:
            return differing
        back = self._put_back.fields(key, desired.locator, record, observed, desired.fields.keys())
        if kind.traits.placement_fields & back.keys():
            # It leaves, as it was found.
            return self._put_back.fields(key, desired.locator, record, observed)
        return differing | back

    def _with_carried_over(self, change: Change, desired: Desired, record: Record | None) -> Change:
        """A recreation, with what others put on netd's own: it is carried over."""
        assert change.observed is not None
        made = record is not None and record.state == "made"
        written = {name: field.wrote for name, field in record.fields.items()} if record is not None and made else None
        theirs = others_on(desired, written, self._view, self._is_made)
        return replace(change, observed=replace(change.observed, displaced=(*change.observed.displaced, *theirs)))

    def _is_made(self, key: Key) -> bool:
        record = self._records.get(key)
        return record is not None and record.made


def _reduced(kind: Kind, desired: Desired, missing: Set[LinkName]) -> Desired:
    """What can be had of an object while these links are missing."""
    if not isinstance(kind, LinkKind):
        return desired
    return replace(desired, fields=kind.reduced(desired, missing))
