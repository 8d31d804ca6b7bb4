"""Warnings: what the kernel refuses as it is declared, unless another program changes something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.config.facts import address_on_link, assigned_address, routing, setting_key
from netd.config.merge.merge import find, table_at
from netd.kinds.base.kind import LOOPBACK
from netd.kinds.base.roles import Routing
from netd.kinds.base.values import is_loopback
from netd.kinds.link.ends import LEAST_IPV6
from netd.model.desired import Desired
from netd.model.key import Key, LinkName, namespace_key


def refused(desired: Mapping[Key, Desired], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """At most one for each address, neighbour and route."""
    declared = _Declared(desired)
    for each in desired.values():
        why, value = declared.why(each)
        if why and each.file in sources:
            origin, source = each.origins[0], sources[each.file]
            path = origin.path + find(table_at(source.data, origin.path), value)
            yield source.problem(path, titled(path if value else origin.path, why), warning=True)


class _Declared:
    """What the files say of links: their addresses, whether they are up, and whether they have IPv6."""

    def __init__(self, desired: Mapping[Key, Desired]) -> None:
        self._desired = desired
        self._down: set[LinkName] = set()
        self._small: set[LinkName] = set()
        self._made: set[LinkName] = set()
        self._addresses: dict[LinkName, set[str]] = {}
        self._owners: dict[tuple[str, str], LinkName] = {}
        for key, each in desired.items():
            if (assigned := assigned_address(key)) is not None:
                self._address(*assigned)
            for end in each.ends:
                if not end.foreign:
                    self._made.add(end.link)
                if each.fields.get(end.field.removesuffix("mtu") + "up") is False:
                    self._down.add(end.link)
                if isinstance(end.mtu, int) and end.mtu < LEAST_IPV6 and end.link.name != LOOPBACK:
                    self._small.add(end.link)

    def _address(self, link: LinkName, cidr: str) -> None:
        address = cidr.partition("/")[0]
        self._addresses.setdefault(link, set()).add(address)
        self._owners.setdefault((link.netns, address), link)

    def why(self, each: Desired) -> tuple[str, str]:
        """Why the kernel will refuse an object, and the written value that causes it; "" where it will not."""
        if (route := routing(each)) is not None:
            return self._route(each.key.netns, route)
        link, address = address_on_link(each.key) or (LinkName("", ""), "")
        why = self._without_ipv6(link) if ":" in address else ""
        return (f"'{address}' is IPv6: {why}" if why else "", "")

    def _route(self, netns: str, route: Routing) -> tuple[str, str]:
        six = ":" in route.to
        for via, dev in route.hops:
            link = LinkName(netns, dev)
            if dev and link in self._down:
                return f"a route cannot use {link}, which is declared down (up = false)", dev
            if dev and six and (why := self._without_ipv6(link)):
                return f"the route is IPv6: {why}", dev
            if via and (why := self._astray(via, link, onlink=route.onlink)):
                return why, via
        return "", ""

    def _astray(self, via: str, link: LinkName, *, onlink: bool) -> str:
        """Why an address cannot be a gateway: it is this machine's own."""
        own, six = self._addresses.get(link, set()), ":" in via
        if via in own or ((six or not link.name) and (link.netns, via) in self._owners):
            owner = link if via in own else self._owners[link.netns, via]
            if six or onlink:
                return f"'{via}' is an address of {owner} itself: the kernel refuses such a gateway"
            return f"'{via}' is an address of {owner} itself: the kernel looks for all destinations on that link"
        if is_loopback(via) and link.name not in ("", LOOPBACK) and not any(map(is_loopback, own)):
            return f"'{via}' is this machine itself: the kernel refuses such a gateway on {link}"
        return ""

    def _without_ipv6(self, link: LinkName) -> str:
        """Why a link has no IPv6, "" where it has. A setting of the link itself overrides "default" and "all"."""
        if link in self._small:
            return f"{link} is declared with an MTU below {LEAST_IPV6}, the minimum of IPv6"
        # A link that netd does not create exists before anything is written: "default" does not change it.
        for name in (link.name, "default", "all") if link in self._made else (link.name, "all"):
            parameter = setting_key(link.netns, f"net/ipv6/conf/{name}/disable_ipv6")
            found = self._desired.get(parameter)
            if found is not None:
                return "" if found.fields["value"] == "0" else f"{parameter.name} disables it on {link}"
        namespace = self._desired.get(namespace_key(link.netns))
        off = namespace is not None and namespace.fields.get("ipv6") is False
        return "ipv6 = false disables it in this namespace" if off else ""
