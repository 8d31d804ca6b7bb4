"""What an object waits for: namespaces and links that are not there, or that cannot be relied on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from ipaddress import ip_address, ip_network

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.record import Record
from netd.engine.status.table import StatusTable
from netd.kinds import registry
from netd.model.desired import Desired, View
from netd.model.key import HOST, NAMESPACE_KIND, Key, LinkName, namespace_key
from netd.model.status import State

from .decision import Decision

#: States in which an object cannot be relied on.
BLOCKING = frozenset({State.FAILED, State.CONFLICT})


class Prerequisites:
    """Answers for one evaluation. A link or namespace that is about to be made counts as there.

    ``away`` says what is waited for where an attached namespace is not there. ``decisions``: those made so far.
    """

    def __init__(
        self,
        view: View,
        graph: DependencyGraph,
        table: StatusTable,
        records: Callable[[Key], Record | None],
        away: Callable[[str], str],
        decisions: Mapping[Key, Decision],
    ) -> None:
        self._view = view
        self._graph = graph
        self._table = table
        self._records = records
        self._away = away
        self._decisions = decisions
        self._unready: dict[str, str] = {}
        self._coming: set[LinkName | str] = set()

    def announce(self, desired: Desired) -> None:
        """The object is about to be made."""
        self._coming.update(desired.provides)
        if desired.key.kind == NAMESPACE_KIND:
            self._coming.add(desired.key.name)

    def not_ready(self, desired: Desired) -> str:
        """Which of its namespaces is not yet the one that its name is for, so that nothing found there counts."""
        for netns in (desired.key.netns, *desired.namespaces):
            if netns not in self._unready:
                self._unready[netns] = self._why_unready(netns)
            if self._unready[netns]:
                return f"waits for namespace {netns} ({self._unready[netns]})"
        return ""

    def missing(self, desired: Desired) -> str:
        """What has to be there before the object can be built."""
        for netns in (desired.key.netns, *desired.namespaces):
            if not self._has_namespace(netns):
                return f"waits for namespace {self._with_reason(netns)}"
        for link in desired.requires:
            if not self._has_link(link):
                return f"waits for {self._with_reason(link)}"
        for link in desired.needs_up:
            if self._is_kept_down(link):
                return f"waits for {link}: it is down"
        for gateway, links in desired.gateways.items():
            if not any(
                self._has_link(link) and not self._is_kept_down(link) for link in links
            ) and not self._is_reachable(desired.key.netns, gateway):
                return f"waits for {self._with_reason(links[0])}"
        return ""

    def absent(self, desired: Desired) -> Set[LinkName]:
        """The links without which the object is built reduced."""
        return {link for link in desired.after if not self._has_link(link)}

    def reduced_by(self, desired: Desired, absent: Set[LinkName]) -> str:
        """What an object that is built reduced waits for."""
        links = ", ".join(self._with_reason(link) for link in desired.after if link in absent)
        return f"waits for {links}" if links else ""

    def is_blocked(self, desired: Desired) -> bool:
        """Whether a link that it needs cannot be relied on, so that it is not touched."""
        return any(self._blocked(link) for link in desired.requires)

    def owner(self, desired: Desired) -> str:
        """What an object that netd does not make waits for."""
        if desired.source:
            return f"waits for {self._away(desired.source)}"
        if not self._has_namespace(desired.key.netns):
            return f"waits for namespace {desired.key.netns}"
        link = LinkName(desired.key.netns, desired.key.name)
        named = next((one.name for one in self._view.links(link.netns) if link.name in one.altnames), "")
        return f"waits for {link}" + (
            f": that is an alternative name of {named}: write {named} instead" if named else ""
        )

    def _blocked(self, what: LinkName | str) -> str:
        """Why a declared link or namespace cannot be relied on, "" where it can."""
        provider = self._graph.providers.get(what) if isinstance(what, LinkName) else namespace_key(what)
        if provider is None:
            return ""
        known = self._decisions.get(provider) or self._table.get(provider)
        return f"{provider}: {known.state.value}" if known is not None and known.state in BLOCKING else ""

    def _why_unready(self, netns: str) -> str:
        """Why nothing is to be built in the namespace of this name yet, "" where it can be."""
        key = namespace_key(netns)
        one, record = self._graph.desired.get(key), self._records(key)
        if one is not None and self._graph.duplicate_of(netns):
            return f"{key}: {State.CONFLICT.value}"
        if one is None or not (one.source or (record and "attach" in record.identity)):
            return ""
        observed = registry()[key.kind].observe(key, one.locator, self._view, record.identity if record else {})
        if observed is not None and observed.residue:
            return "its name is first removed from another namespace"
        if observed is not None and observed.conflict:
            return f"{key}: {State.CONFLICT.value}"
        former = self._former_name(self._view.cookie(netns))
        return f"what netd created there as {former} is removed first" if former else ""

    def _former_name(self, cookie: int | None) -> str:
        """The name under which netd still has objects in a namespace, "" for none."""
        for key in self._graph.former if cookie else ():
            record = self._records(key)
            same = record is not None and record.identity.get("cookie") == cookie
            if same and any(self._graph.undeclared_in(key.name)):
                return key.name
        return ""

    def _has_link(self, link: LinkName) -> bool:
        return not self._blocked(link) and (link in self._coming or self._view.link(*link) is not None)

    def _is_kept_down(self, link: LinkName) -> bool:
        """Whether a link is to be down."""
        provider = self._graph.providers.get(link)
        if provider is None:
            return False
        one = self._graph.desired[provider]
        return any(end.link == link and one.fields.get(end.up_field) is False for end in one.ends)

    def _has_namespace(self, netns: str) -> bool:
        if netns == HOST:
            return True
        return not self._blocked(netns) and (netns in self._coming or self._view.exists(netns))

    def _is_reachable(self, netns: str, gateway: str) -> bool:
        """Whether a gateway is on a link by the routes that the kernel has; one by way of another gateway is not."""
        address = ip_address(gateway)
        return any(
            address in ip_network(route.to)
            for route in self._view.all_routes(netns)
            if route.type == "unicast" and not all(hop.via for hop in route.nexthops)
        )

    def _with_reason(self, what: LinkName | str) -> str:
        reason = self._blocked(what)
        return f"{what} ({reason})" if reason else str(what)
