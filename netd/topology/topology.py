"""Links and how they are connected, across namespaces, as the kernel has them.

A link is named by its namespace and name (``LinkName``, on the command line ``[NAMESPACE:]NAME``). All is read from the
view when it is first asked for: a question about one link costs what is around it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netd.kinds.link.segment import kind_of
from netd.model.desired import HIDDEN, View
from netd.model.key import HOST, LinkName
from netd.model.state import Address, Link

from .crossings import Crossings

#: Options of a tunnel that name where its packets go.
FAR_ENDS = ("remote", "group")


class Topology:
    """``namespaces``: their names, the host ("") first; each namespace once, by one of its names."""

    def __init__(self, view: View, namespaces: Sequence[str]) -> None:
        self.view = view
        self.namespaces: tuple[str, ...] = distinct(view, namespaces)
        self.crossings = Crossings(view, self.namespaces)
        self._ports: dict[str, dict[int, list[LinkName]]] = {}
        self._carried: dict[LinkName, list[LinkName]] | None = None
        self._holders: dict[str, list[LinkName]] | None = None

    # links -----------------------------------------------------------------------------------------------------

    def link(self, at: LinkName) -> Link | None:
        """The link, None if it is not there."""
        return self.view.link(*at)

    def links(self, netns: str) -> list[LinkName]:
        """The links of a namespace, in the order of their indexes."""
        found = sorted(self.view.links(netns), key=lambda link: link.index)
        return [LinkName(netns, link.name) for link in found]

    def at(self, netns: str, index: int) -> LinkName | None:
        """The link with that index in a namespace."""
        found = self.view.link_at(netns, index) if index else None
        return LinkName(netns, found.name) if found is not None else None

    def addresses(self, at: LinkName) -> list[Address]:
        """The addresses of a link, as the kernel lists them: the first one of a network is the primary one."""
        link = self.link(at)
        return list(self.view.addresses(at.netns, link.index).values()) if link is not None else []

    def options(self, at: LinkName) -> Mapping[str, Any]:
        """The options of its kind by their keys in the files; {} for kinds that netd does not create."""
        link = self.link(at)
        kind = kind_of(link)
        if link is None or kind is None:
            return {}
        found = kind.read_options(link, at.netns, self.view)
        return {key: value for key, value in found.items() if value is not HIDDEN}

    # how they are connected ------------------------------------------------------------------------------------

    def peer(self, at: LinkName) -> LinkName | None:
        """The other end of a pair; None: it is no pair, or its other end is in a namespace without a known name."""
        link = self.link(at)
        kind = kind_of(link)
        if link is None or kind is None or kind.joins != "other end" or not link.link:
            return None
        netns = self.crossings.behind(at.netns, link)
        other = self.view.link_at(netns, link.link) if netns is not None else None
        if netns is None or other is None or (other.kind, other.link) != (link.kind, link.index):
            return None
        return LinkName(netns, other.name)

    def master(self, at: LinkName) -> LinkName | None:
        """The bridge, bond or VRF that it is a member of."""
        link = self.link(at)
        return self.at(at.netns, link.master) if link is not None else None

    def ports(self, at: LinkName) -> list[LinkName]:
        """The members of a bridge, bond or VRF."""
        link = self.link(at)
        if link is None:
            return []
        if at.netns not in self._ports:
            found: dict[int, list[LinkName]] = {}
            for each in self.links(at.netns):
                one = self.link(each)
                if one is not None and one.master:
                    found.setdefault(one.master, []).append(each)
            self._ports[at.netns] = found
        return self._ports[at.netns].get(link.index, [])

    def outer(self, at: LinkName) -> str | None:
        """The namespace of what carries it, in which a tunnel's packets are sent. None: it has no known name."""
        link = self.link(at)
        if link is None:
            return at.netns
        return at.netns if self._is_pair(link) else self.crossings.behind(at.netns, link)

    def carrier(self, at: LinkName) -> LinkName | None:
        """The link that carries it: of a VLAN, a MAC-VLAN, or a tunnel with ``dev``."""
        link = self.link(at)
        if link is None or self._is_pair(link):
            return None
        kind = kind_of(link)
        index = kind.lower_index(link) if kind is not None else link.link
        netns = self.outer(at) if index else None
        if netns is None or (netns == at.netns and index == link.index):
            return None
        return self.at(netns, index)

    def carried(self, at: LinkName) -> list[LinkName]:
        """The links that it carries; reads all namespaces."""
        if self._carried is None:
            self._carried = {}
            for each in self.all_links():
                below = self.carrier(each)
                if below is not None:
                    self._carried.setdefault(below, []).append(each)
        return self._carried.get(at, [])

    def _is_pair(self, link: Link) -> bool:
        kind = kind_of(link)
        return kind is not None and kind.joins == "other end"

    def far_ends(self, at: LinkName) -> list[str]:
        """Where a tunnel's packets go: addresses of remotes, or a group."""
        link, options = self.link(at), self.options(at)
        if link is None:
            return []
        found = [str(options[key]) for key in FAR_ENDS if options.get(key)]
        kind = kind_of(link)
        if kind is not None:
            found += kind.flooded_to(at, link.index, self.view)
        return list(dict.fromkeys(found))

    def all_links(self) -> Iterator[LinkName]:
        """All links of all namespaces."""
        for netns in self.namespaces:
            yield from self.links(netns)

    def holders(self, address: str) -> list[LinkName]:
        """The links with an address ("10.0.0.1"), in all namespaces."""
        if self._holders is None:
            self._holders = {}
            for each in self.all_links():
                for one in self.addresses(each):
                    self._holders.setdefault(one.address.partition("/")[0], []).append(each)
        return self._holders.get(address, [])

    def on_network(self, netns: str, network: str) -> LinkName | None:
        """The link of a namespace that has an address inside a network, or in whose network that is."""
        wanted = ipaddress.ip_network(network, strict=False)
        for each in self.links(netns):
            for one in self.addresses(each):
                known = ipaddress.ip_interface(one.address).network
                if known.version == wanted.version and known.overlaps(wanted) and not known.is_loopback:
                    return each
        return None


def distinct(view: View, namespaces: Sequence[str]) -> tuple[str, ...]:
    """The host, then each namespace that exists by the first of its names."""
    names: dict[int | None, str] = {view.cookie(HOST): HOST}
    for netns in namespaces:
        cookie = view.cookie(netns)
        if cookie is not None:
            names.setdefault(cookie, netns)
    return tuple(names.values())
