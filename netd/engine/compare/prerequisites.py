"""What an object waits for: namespaces and links that are not there, or that cannot be relied on."""

from __future__ import annotations

from collections.abc import Callable, Set
from ipaddress import ip_address, ip_network

from netd.model.desired import Desired, View
from netd.model.key import HOST, LinkName


class Prerequisites:
    """Answers for one evaluation. A link or namespace that is about to be made counts as there.

    ``blocked``: why a declared link or namespace cannot be relied on. ``unready``: why nothing is to be built in a
    namespace yet. ``away``: what is waited for where an attached namespace is not there. Each "" for nothing.
    """

    def __init__(
        self,
        view: View,
        blocked: Callable[[LinkName | str], str],
        unready: Callable[[str], str],
        away: Callable[[str], str],
    ) -> None:
        self._view = view
        self._blocked = blocked
        self._unready = unready
        self._away = away
        self._coming: set[LinkName | str] = set()

    def announce(self, desired: Desired) -> None:
        """The object is about to be made."""
        self._coming.update(desired.provides)
        if desired.key.is_namespace:
            self._coming.add(desired.key.name)

    def not_ready(self, desired: Desired) -> str:
        """Which of its namespaces is not yet the one that its name is for, so that nothing found there counts."""
        for netns in (desired.key.netns, *desired.namespaces):
            reason = self._unready(netns) if netns else ""
            if reason:
                return f"waits for namespace {netns} ({reason})"
        return ""

    def missing(self, desired: Desired) -> str:
        """What has to be there before the object can be built."""
        for netns in (desired.key.netns, *desired.namespaces):
            if not self._has_namespace(netns):
                return f"waits for namespace {self._with_reason(netns)}"
        for link in desired.requires:
            if not self._has_link(link):
                return f"waits for {self._with_reason(link)}"
        for gateway, links in desired.gateways.items():
            if not any(map(self._has_link, links)) and not self._is_reachable(desired.key.netns, gateway):
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
        return f"waits for {LinkName(desired.key.netns, desired.key.name)}"

    def _has_link(self, link: LinkName) -> bool:
        return not self._blocked(link) and (link in self._coming or self._view.link(*link) is not None)

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
