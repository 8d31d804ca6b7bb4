"""Compares one object: what the files want, what the kernel has, what the ledger remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from netd.engine.ownership.rules import May, lacks_displaced, permissions, same_identity
from netd.engine.record import Record
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.kinds.link.carry_over import others_on
from netd.model.change import Change, FieldDiff
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.key import HOST, Key, LinkName
from netd.model.marks import GROUP
from netd.model.status import State

from .decision import Decision, first, residue_fields
from .put_back import PutBack


class Comparison:
    """Compares objects of one look at the kernel.

    ``providers``: the declared object of each link.
    ``blocked`` tells why a link cannot be had although its declaration says it will be ("" it can); ``unready`` why a
    namespace is not to be looked into yet; ``away`` what is waited for where another's namespace is not there;
    ``resolved`` gives an object the values that hang on others; ``coming`` are the links and namespaces that this round
    is about to make. ``withdraw``: what is no longer written goes back to what was found, else it stays for now.
    """

    def __init__(
        self,
        view: View,
        desired: Mapping[Key, Desired],
        providers: Mapping[LinkName, Key],
        records: Callable[[Key], Record | None],
        blocked: Callable[[LinkName | str], str],
        unready: Callable[[str], str],
        away: Callable[[str], str],
        resolved: Callable[[Desired], Desired],
        *,
        withdraw: Callable[[Key], bool],
    ) -> None:
        self._view = view
        self._records = records
        self._blocked = blocked
        self._unready = unready
        self._away = away
        self._resolved = resolved
        self._withdraw = withdraw
        self._put_back = PutBack(view, desired, providers, records, resolved)
        self.coming: set[LinkName | str] = set()

    def available(self, link: LinkName) -> bool:
        """Whether the link is there, or will be in a moment."""
        if self._blocked(link):
            return False
        return link in self.coming or self._view.link(*link) is not None

    def namespace_there(self, netns: str) -> bool:
        """Whether the namespace is there, or will be in a moment."""
        if netns == HOST:
            return True
        if self._blocked(netns):
            return False
        return netns in self.coming or self._view.exists(netns)

    def _missing(self, desired: Desired) -> str:
        """What a desired object waits for, "" for nothing."""
        for netns in (desired.key.netns, *desired.namespaces):
            if not self.namespace_there(netns):
                return f"waits for namespace {netns}{self._why(netns)}"
        for link in desired.requires:
            if not self.available(link):
                return f"waits for {link}{self._why(link)}"
        for gateway, links in desired.gateways.items():
            if not any(map(self.available, links)) and not self._leads_to(desired.key.netns, gateway):
                return f"waits for {links[0]}{self._why(links[0])}"
        return ""

    def _not_ready(self, desired: Desired) -> str:
        """Which of its namespaces is not what its name is to stand for, so that nothing found there tells anything."""
        for netns in (desired.key.netns, *desired.namespaces):
            reason = self._unready(netns) if netns else ""
            if reason:
                return f"waits for namespace {netns} ({reason})"
        return ""

    def _leads_to(self, netns: str, gateway: str) -> bool:
        """Whether a gateway is on a link by what the kernel has: no route by way of another gateway counts for it."""
        address = ip_address(gateway)
        return any(
            address in ip_network(route.to)
            for route in self._view.all_routes(netns)
            if route.type == "unicast" and not all(hop.via for hop in route.nexthops)
        )

    def _why(self, what: LinkName | str) -> str:
        reason = self._blocked(what)
        return f" ({reason})" if reason else ""

    def evaluate(self, desired: Desired) -> Decision:
        """Compares one declared object."""
        waiting = self._not_ready(desired)
        if waiting:
            return Decision(State.PENDING, waiting)
        desired = self._resolved(desired)
        key, kind = desired.key, registry()[desired.key.kind]
        record = self._records(key)
        identity = record.identity if record else {}
        observed = kind.observe(key, desired.locator, self._view, identity)
        if observed is not None and observed.renamed_away:
            leaving = self._leave(desired, record)
            if leaving is not None:
                return Decision(State.PENDING, "is taken off the link that was renamed", leaving)
            observed = kind.observe(key, desired.locator, self._view)
        if observed is not None and observed.conflict:
            return self._evaluate_conflict(desired, record, observed, kind)
        missing = self._missing(desired)
        if observed is not None and observed.residue:
            change = Change(key, "update", residue_fields(observed), desired.file, desired, observed)
            if desired.source and not missing:
                missing = f"waits for {self._foreign_thing(desired)}"
            return Decision(State.PENDING if missing else State.OK, missing, change, observed)
        absent = {link for link in desired.after if not self.available(link)}
        wanted = kind.reduced(desired, absent)
        unplugged = ", ".join(f"{link}{self._why(link)}" for link in desired.after if link in absent)
        waiting = f"waits for {unplugged}" if unplugged else ""
        if observed is None:
            if missing or kind.is_foreign or desired.source:
                return Decision(State.PENDING, missing or f"waits for {self._foreign_thing(desired)}")
            fields = {name: FieldDiff(value, None) for name, value in wanted.items() if name not in kind.guard_fields}
            self._announce(desired)
            change = Change(key, "create", fields, desired.file, replace(desired, fields=wanted), None)
            return Decision(State.PENDING if waiting else State.OK, waiting, change)
        decision = self._evaluate_fields(desired, record, observed, kind, wanted)
        if decision.change is not None and missing and self._blocked_need(desired):
            return Decision(State.PENDING, missing, observed=observed)
        if decision.state is State.OK and waiting:
            return Decision(State.PENDING, waiting, decision.change, observed)
        return decision

    def _leave(self, desired: Desired, record: Record | None) -> Change | None:
        """What netd has on somebody's link that was renamed, once another has the name; a mere rename takes nothing."""
        links = [self._view.link(*link) for link in (*desired.requires, *desired.provides)]
        if record is None or not all(links):
            return None
        before = self._view.link_at(desired.key.netns, int(record.identity.get("index", 0)))
        # One that netd made gets its name back.
        return None if before is None or before.group == GROUP else self.evaluate_undeclared(desired.key, record)

    def _foreign_thing(self, desired: Desired) -> str:
        if desired.source:
            return self._away(desired.source)
        if not self.namespace_there(desired.key.netns):
            return f"namespace {desired.key.netns}"
        return str(LinkName(desired.key.netns, desired.key.name))

    def _blocked_need(self, desired: Desired) -> bool:
        return any(self._blocked(link) for link in desired.requires)

    def _announce(self, desired: Desired) -> None:
        self.coming.update(desired.provides)
        if desired.key.kind == "namespace":
            self.coming.add(desired.key.name)

    def _evaluate_conflict(self, desired: Desired, record: Record | None, observed: Observed, kind: Kind) -> Decision:
        """Something wrong stands in its place: netd's own may be put back, a foreign one is reported."""
        missing = self._missing(desired)
        if May.REPLACE not in permissions(record, observed, kind):
            advice = "netd does not touch it: rename or remove one of the two"
            return Decision(State.CONFLICT, f"{observed.conflict} is already there; {advice}", observed=observed)
        if missing:
            return Decision(State.PENDING, missing, observed=observed)
        absent = {link for link in desired.after if not self.available(link)}
        reduced = replace(desired, fields=kind.reduced(desired, absent))
        fields = {"state": FieldDiff("whole", observed.conflict)}
        return self._again(desired, reduced, fields, observed)

    def _again(
        self, desired: Desired, reduced: Desired, fields: Mapping[str, FieldDiff], observed: Observed
    ) -> Decision:
        """It must be made again: with what others put on netd's own."""
        self._announce(desired)
        record = self._records(desired.key)
        made = record is not None and record.state == "made"
        written = {name: field.wrote for name, field in record.fields.items()} if record is not None and made else None
        theirs = others_on(desired, written, self._view, self._is_own)
        observed = replace(observed, displaced=(*observed.displaced, *theirs))
        change = Change(desired.key, "recreate", fields, desired.file, reduced, observed)
        return Decision(State.OK, "", change, observed)

    def _is_own(self, key: Key) -> bool:
        record = self._records(key)
        return record is not None and record.made

    def _evaluate_fields(
        self, desired: Desired, record: Record | None, observed: Observed, kind: Kind, wanted: Mapping[str, Any]
    ) -> Decision:
        may = permissions(record, observed, kind)
        mine = May.KEEP in may
        full = dict(wanted)
        if mine:
            full |= kind.owned_fields(desired)
        found = {name: FieldDiff(value, observed.fields.get(name)) for name, value in full.items()}
        differing = {name: diff for name, diff in found.items() if diff.have not in (diff.want, HIDDEN)}
        same = (
            record is None
            or not record.identity
            or same_identity(record, observed)
            or kind.must_leave_namespace(desired.locator)
        )
        if record is not None and (mine or same) and self._withdraw(desired.key):
            back = self._put_back.fields(desired.key, desired.locator, record, observed, desired.fields.keys())
            if kind.placement_fields & back.keys():
                differing = back = self._put_back.fields(desired.key, desired.locator, record, observed)
            differing |= back
        # What others had on the link before it was made again is to come back.
        owed = kind.provides_links and record is not None and bool(record.displaced)
        if not differing and not owed:
            return Decision(State.OK, observed=observed)
        fixed = kind.immutable_changes(differing)
        if not fixed:
            change = Change(
                desired.key, "update", differing, desired.file, desired, replace(observed, includes_own=mine)
            )
            return Decision(State.OK, "", change, observed)
        if May.REPLACE in may:
            return self._again(desired, replace(desired, fields=wanted), differing, observed)
        told = ", ".join(f"{name} is {differing[name].have}, not {differing[name].want}" for name in sorted(fixed))
        reason = f"the {desired.key.kind} that is already there cannot be changed so: {told}; netd did not make it"
        return Decision(State.CONFLICT, reason, observed=observed)

    def evaluate_undeclared(self, key: Key, record: Record, *, force: bool = False) -> Change | None:
        """What becomes of an object that only the ledger knows; None: nothing is left to do, it is forgotten.

        ``force``: it is deleted although netd did not make it (``netd down --adopted``).
        """
        kind = registry().get(key.kind)
        if kind is None:
            return None
        observed = kind.observe(key, record.locator, self._view, record.identity)
        if lacks_displaced(record, observed) and record.displaced_at(
            kind.expected_identity(key, record.locator, self._view)
        ):
            return Change(key, "delete", {}, first(record.files), None, None)
        if observed is None:
            return None
        if observed.residue:
            return Change(key, "update", residue_fields(observed), first(record.files), None, observed)
        if force or May.DELETE in permissions(record, observed, kind):
            fields = {name: FieldDiff(None, field.wrote) for name, field in record.fields.items()}
            return Change(key, "delete", fields, first(record.files), None, observed)
        if record.made:
            return None
        if not record.identity or same_identity(record, observed):
            back = self._put_back.fields(key, record.locator, record, observed)
            if back or (kind.is_setting and record.displaced):
                return Change(key, "update", back, first(record.files), None, observed)
        return None
