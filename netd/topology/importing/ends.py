"""The keys of every link, for one link: addresses, gateway, MTU, MAC, its bridge, impairments."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netd.errors import KernelError
from netd.kinds.base.kind import LOOPBACK, MtuLimit
from netd.kinds.forward import ForwardKind
from netd.kinds.link.bridge_port import PORT_DEFAULTS, PREFIX, read_port
from netd.kinds.link.segment import kind_of
from netd.kinds.qdisc import LIMIT, NETEM, NO_RATE, NetemTable, QdiscKind, decode_netem
from netd.kinds.route import DEFAULT, IPV6_METRIC
from netd.model.key import Key, LinkName
from netd.model.marks import ADDRESS_PROTOCOL, GROUP
from netd.model.segment import ETHERNET
from netd.model.state import IFA_F_DEPRECATED, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, Address, Link, Route

from .draft import Draft
from .facts import Facts
from .routes import importable, is_plain, table_of

#: ifa_proto of the kernel's own: loopback, router advertisements, link-local (include/uapi/linux/if_addr.h).
KERNEL_PROTOCOLS = frozenset({1, 2, 3})
LOOPBACK_ADDRESSES = frozenset({"127.0.0.1/8", "::1/128"})
#: The cost of a port by the speed of its link: a pair's has 10 Gbit/s, of most others none is known (port_cost()).
PAIR_COST, COSTS = 2, frozenset({2, 4, 19, 100})
#: What the table of an impairment need not say.
NO_EFFECT: Mapping[str, Any] = {
    "delay": "0ms", "jitter": "0ms", "loss": "0%", "duplicate": "0%", "corrupt": "0%", "reorder": "0%",
    "rate": NO_RATE, "limit": LIMIT,
}  # fmt: skip


class EndWriter:
    """Writes the keys of links; ``gateways`` are the routes that it has said as ``gateway``."""

    def __init__(self, facts: Facts, draft: Draft) -> None:
        self._facts = facts
        self._topology = facts.topology
        self._draft = draft
        self.gateways: set[tuple[str, Route]] = set()

    def values(self, at: LinkName, *, made: bool) -> dict[str, Any]:
        """The keys of one end. ``made``: netd would create the link."""
        link = self._topology.link(at)
        if link is None:
            return {}
        found: dict[str, Any] = dict(self._addressing(at, link))
        usual = self._usual_mtu(at, link) if made else link.mtu if at.name == LOOPBACK else ETHERNET
        if usual != link.mtu:
            found["mtu"] = link.mtu
        if made and self._mac_was_chosen(at, link):
            found["mac"] = link.mac
        if made is not link.up:
            found["up"] = link.up
        found |= self._membership(at, link) | self._impairment(at, link)
        if self._forwards(at):
            found["forward"] = True
        return found

    # addresses -------------------------------------------------------------------------------------------------

    def _addressing(self, at: LinkName, link: Link) -> Iterator[tuple[str, Any]]:
        chosen = [one for one in self._topology.addresses(at) if self._is_importable(at, link, one)]
        four = [one for one in chosen if ":" not in one.address]
        # The newest IPv6 address comes first.
        six = [one for one in reversed(chosen) if ":" in one.address]
        if chosen:
            yield "addresses", [self._written(at, one) for one in (*four, *six)]
        gateways, metric = self._gateways(at, link)
        if gateways:
            yield (
                "gateway",
                gateways[0].nexthops[0].via if len(gateways) == 1 else [each.nexthops[0].via for each in gateways],
            )
            if metric is not None:
                yield "gateway_metric", metric
        without = [bool(one.flags & IFA_F_NODAD) for one in six]
        if without and all(without):
            yield "nodad", True
        elif any(without):
            self._draft.note(at.netns, f"{at.name}: some of its IPv6 addresses are nodad: nodad is of all or none")

    def _written(self, at: LinkName, one: Address) -> str | dict[str, Any]:
        """An address as a file has it: with more than its length only if there is more."""
        more: dict[str, Any] = {"label": one.label} if one.label not in ("", at.name) else {}
        if one.flags & IFA_F_DEPRECATED:
            more["preferred_lft"] = 0
        return {"address": one.address, **more} if more else one.address

    def _is_importable(self, at: LinkName, link: Link, one: Address) -> bool:
        if (one.address in LOOPBACK_ADDRESSES and at.name == LOOPBACK) or one.protocol in KERNEL_PROTOCOLS:
            return False
        if one.protocol != ADDRESS_PROTOCOL and _is_automatic(one):
            return False
        why = ""
        if not one.flags & IFA_F_PERMANENT:
            why = "it has a lifetime: its source (DHCP, a router) gives it again"
        elif one.peer:
            why = f"it has a peer ({one.peer}): write a route to it instead"
        elif one.flags & IFA_F_NOPREFIXROUTE:
            why = "it is noprefixroute"
        if why:
            self._draft.note(at.netns, f"{at.name}: address {one.address}: {why}")
        return not why

    def _gateways(self, at: LinkName, link: Link) -> tuple[list[Route], int | None]:
        """The default routes that ``gateway`` can say, one of each family, and their metric."""
        found: dict[int, Route] = {}
        table = table_of(self._topology, at)
        for route in self._facts.extra.routes(at.netns):
            if route.table == table and route.to in DEFAULT.values() and is_plain(route) and importable(route):
                hop = route.nexthops[0]
                if hop.via and hop.index == link.index and not hop.onlink:
                    found.setdefault(route.family, route)
        metrics = {family: _said_metric(route) for family, route in found.items()}
        if len(set(metrics.values())) > 1:
            # One gateway_metric holds for both: the other family is a route.
            found.pop(socket.AF_INET6)
        chosen = [found[family] for family in sorted(found)]
        self.gateways |= {(at.netns, route) for route in chosen}
        return chosen, next(iter(metrics.values()), None)

    # what it is set to -----------------------------------------------------------------------------------------

    def _usual_mtu(self, at: LinkName, link: Link) -> int | None:
        """The MTU that a new link of this kind gets here; None: not known."""
        kind = kind_of(link)
        if kind is None:
            return None
        usual = kind.reverted(Key(at.netns, kind.name, at.name), {}, "mtu", None, self._topology.view)
        if isinstance(usual, MtuLimit):
            carrier = self._topology.link(usual.link)
            return carrier.mtu - usual.headers if carrier is not None else None
        return int(usual) if usual is not None else None

    def _mac_was_chosen(self, at: LinkName, link: Link) -> bool:
        """Whether somebody chose it: not netd for this link, and not chance (the kernel does not tell)."""
        kind = kind_of(link)
        if not link.mac or kind is None or "mac" not in kind.remembered:
            return False
        if link.group == GROUP and self._facts.derived_mac is not None:
            return link.mac != self._facts.derived_mac(at)
        # Chance seldom has two zeros.
        return link.mac.split(":").count("00") > 1

    def _membership(self, at: LinkName, link: Link) -> dict[str, Any]:
        master = self._topology.master(at)
        if master is None:
            return {}
        if master in self._facts.skipped:
            self._draft.note(at.netns, f"{at.name}: its master {master.name} belongs to {self._facts.skipped[master]}")
            return {}
        found: dict[str, Any] = {"master": master.name}
        port = {key.removeprefix(PREFIX): value for key, value in read_port(link.port).items()} if link.port else {}
        chosen = {key: value for key, value in port.items() if value != PORT_DEFAULTS.get(key) and value is not None}
        usual = {PAIR_COST} if link.kind == "veth" else COSTS
        if chosen.get("cost") in usual:
            chosen.pop("cost")
        return found | ({"bridge_port": chosen} if chosen else {})

    def _impairment(self, at: LinkName, link: Link) -> dict[str, Any]:
        qdisc = self._topology.view.qdisc(at.netns, link.index)
        if qdisc is None:
            return {}
        if qdisc.kind != NETEM:
            self._draft.note(at.netns, f"{at.name}: its root qdisc {qdisc.kind}: netd has only netem")
            return {}
        found = decode_netem(qdisc.options)
        if found.pop("other", ""):
            self._draft.note(at.netns, f"{at.name}: its netem has options that netem = {{ ... }} has not")
        record = self._facts.records.get(Key(at.netns, QdiscKind.name, at.name))
        if record is None or "seed" not in record.fields:
            found.pop("seed", None)
        chosen = {key: value for key, value in found.items() if value != NO_EFFECT.get(key)}
        known = [key for key in vars(NetemTable) if key in chosen] or list(chosen)
        return {"netem": {key: chosen[key] for key in known} or {"delay": "0ms"}}

    def _forwards(self, at: LinkName) -> bool:
        """Whether rules of netd let its traffic through, or would."""
        if self._facts.is_known(Key(at.netns, ForwardKind.name, at.name)):
            return True
        try:
            chains: Sequence[Any] = self._topology.view.firewall(at.netns).base_chains
        except KernelError:
            return False
        matches = (rule.match for base in chains if base.hook == "forward" for _, rule in base.own)
        return any(at.name in (match.iif, match.oif) for match in matches)


def _said_metric(route: Route) -> int | None:
    """The metric of a default route as ``gateway_metric`` says it."""
    usual = IPV6_METRIC if route.family == socket.AF_INET6 else 0
    return None if route.metric == usual else route.metric


def _is_automatic(one: Address) -> bool:
    """Whether it looks like a link-local address that the kernel made (older kernels do not say so)."""
    address = ipaddress.ip_interface(one.address)
    return bool(address.version == 6 and address.ip.is_link_local and address.network.prefixlen == 64)
