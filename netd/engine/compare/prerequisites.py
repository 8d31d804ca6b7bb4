"""What an object waits for: namespaces and links that are not there, or that cannot be relied on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.record import Record
from netd.engine.status.objects import ObjectStates
from netd.kinds import registry
from netd.model.desired import Desired, View
from netd.model.key import HOST, Key, LinkName, namespace_key
from netd.model.status import State

from .decision import Decision, Evaluation

#: States in which an object cannot be relied on.
BLOCKING = frozenset({State.FAILED, State.CONFLICT})

Decisions = Mapping[Key, Decision]


class Needs(NamedTuple):
    """What an object waits for; "" for nothing."""

    #: Why nothing is to be built in one of its namespaces yet, so that nothing found there counts.
    not_ready: str = ""
    #: What else has the name of this namespace.
    conflict: str = ""
    #: What has to be there before it can be built.
    missing: str = ""
    #: Whether a link that it needs failed, or is in conflict, so that it is not touched.
    blocked: bool = False
    #: The links without which it is built reduced, and that as a reason.
    absent: Set[LinkName] = frozenset()
    reduced_by: str = ""


class Prerequisites:
    """Answers for the objects of an evaluation. A link or namespace that is about to be created counts as there.

    ``away`` says what is waited for where an attached namespace is not there.
    """

    def __init__(
        self,
        view: View,
        graph: DependencyGraph,
        states: ObjectStates,
        records: Mapping[Key, Record],
        away: Callable[[str], str],
    ) -> None:
        self._view = view
        self._graph = graph
        self._states = states
        self._records = records
        self._away = away

    def needs(self, desired: Desired, evaluation: Evaluation) -> Needs:
        """All that the object waits for."""
        key, decisions = desired.key, evaluation.decisions
        if self._graph.namespaces.get(key.name) is desired and (twin := self._graph.duplicate_of(key.name)):
            return Needs(conflict=f"it is {twin}: declare its contents there, and remove this table")
        for netns in (key.netns, *desired.namespaces):
            if netns not in evaluation.unready:
                evaluation.unready[netns] = self._why_unready(netns)
            if evaluation.unready[netns]:
                return Needs(f"waits for namespace {netns} ({evaluation.unready[netns]})")
        missing = self._missing(desired, decisions)
        absent = {link for link in desired.after if not self._has_link(link, decisions)}
        return Needs(
            missing=missing,
            blocked=bool(missing) and any(self._blocked(link, decisions) for link in desired.requires),
            absent=absent,
            reduced_by=self._reduced_by(desired, absent, decisions) if absent else "",
        )

    def _missing(self, desired: Desired, decisions: Decisions) -> str:
        for netns in (desired.key.netns, *desired.namespaces):
            if not self._has_namespace(netns, decisions):
                return f"waits for namespace {self._with_reason(netns, decisions)}"
        for link in desired.requires:
            if not self._has_link(link, decisions):
                return f"waits for {self._with_reason(link, decisions)}"
        for link in desired.needs_up:
            if self._is_kept_down(link):
                return f"waits for {link}: it is down"
        for gateway, links in desired.gateways.items():
            there = any(self._has_link(link, decisions) and not self._is_kept_down(link) for link in links)
            if not there and not self._is_reachable(desired.key.netns, gateway):
                return f"waits for {self._with_reason(links[0], decisions)}"
        return ""

    def _reduced_by(self, desired: Desired, absent: Set[LinkName], decisions: Decisions) -> str:
        links = ", ".join(self._with_reason(link, decisions) for link in desired.after if link in absent)
        return f"waits for {links}"

    def owner(self, desired: Desired, evaluation: Evaluation) -> str:
        """What an object that netd does not make waits for."""
        if desired.source:
            return f"waits for {self._away(desired.source)}"
        if not self._has_namespace(desired.key.netns, evaluation.decisions):
            return f"waits for namespace {desired.key.netns}"
        link = LinkName(desired.key.netns, desired.key.name)
        named = next((one.name for one in self._view.links(link.netns) if link.name in one.altnames), "")
        return f"waits for {link}" + (
            f": that is an alternative name of {named}: write {named} instead" if named else ""
        )

    def _blocked(self, what: LinkName | str, decisions: Decisions) -> str:
        """Why a declared link or namespace cannot be relied on, "" where it can."""
        provider = self._graph.providers.get(what) if isinstance(what, LinkName) else namespace_key(what)
        if provider is None:
            return ""
        known = self._states.get(provider)
        state = decisions[provider].state if provider in decisions else known.row.state if known and known.row else None
        return f"{provider}: {state.value}" if state is not None and state in BLOCKING else ""

    def _why_unready(self, netns: str) -> str:
        """Why nothing is to be built in the namespace of this name yet, "" where it can be."""
        one = self._graph.namespaces.get(netns)
        if one is None:
            return ""
        record = self._records.get(one.key)
        if self._graph.duplicate_of(netns):
            return f"{one.key}: {State.CONFLICT.value}"
        if not (one.source or (record and "attach" in record.identity)):
            return ""
        observed = registry()[one.key.kind].observe(one.key, one.locator, self._view, record.identity if record else {})
        if observed is not None and observed.residue:
            return "its name is first removed from another namespace"
        if observed is not None and observed.conflict:
            return f"{one.key}: {State.CONFLICT.value}"
        former = self._former_name(self._view.cookie(netns))
        return f"what netd created there as {former} is removed first" if former else ""

    def _former_name(self, cookie: int | None) -> str:
        """The name under which netd still has objects in a namespace, "" for none."""
        for key in self._graph.former if cookie else ():
            record = self._records.get(key)
            same = record is not None and record.identity.get("cookie") == cookie
            if same and any(self._graph.undeclared_in(key.name)):
                return key.name
        return ""

    def _has_link(self, link: LinkName, decisions: Decisions) -> bool:
        if self._blocked(link, decisions):
            return False
        return _is_coming(self._graph.providers.get(link), decisions) or self._view.link(*link) is not None

    def _is_kept_down(self, link: LinkName) -> bool:
        """Whether a link is to be down."""
        provider = self._graph.providers.get(link)
        if provider is None:
            return False
        one = self._graph.desired[provider]
        return any(end.link == link and one.fields.get(end.up_field) is False for end in one.ends)

    def _has_namespace(self, netns: str, decisions: Decisions) -> bool:
        if netns == HOST:
            return True
        if self._blocked(netns, decisions):
            return False
        one = self._graph.namespaces.get(netns)
        return (one is not None and _is_coming(one.key, decisions)) or self._view.exists(netns)

    def _is_reachable(self, netns: str, gateway: str) -> bool:
        """Whether a gateway is on a link by the routes that the kernel has; one by way of another gateway is not."""
        address = ip_address(gateway)
        return any(
            address in ip_network(route.to)
            for route in self._view.all_routes(netns)
            if route.type == "unicast" and not all(hop.via for hop in route.nexthops)
        )

    def _with_reason(self, what: LinkName | str, decisions: Decisions) -> str:
        reason = self._blocked(what, decisions)
        return f"{what} ({reason})" if reason else str(what)


def _is_coming(key: Key | None, decisions: Decisions) -> bool:
    """Whether an object is about to be created."""
    change = decisions[key].change if key is not None and key in decisions else None
    return change is not None and change.action in ("create", "recreate")
