"""Routes: ``[[route]]``, and ``gateway`` of a link. A route's identity is table + to + metric, ip-route(8)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, Literal

from netd.errors import KernelError
from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey, route_name
from netd.model.key import Key, LinkName
from netd.model.marks import PROTOCOL
from netd.model.operations import CreateRoute, DeleteRoute, Hop, RestoreRoute
from netd.model.state import (
    IFA_F_OPTIMISTIC,
    IFA_F_TENTATIVE,
    IFF_RUNNING,
    RTPROT_KERNEL,
    RTPROT_RA,
    Nexthop,
    Route,
)
from netd.model.status import Unusable

from .address import AddressKind
from .base.kind import Kind, TableContext, TomlForm, Traits
from .base.options import Table, option
from .base.roles import BecomesUsable, KeepsAttributes, NextHop, RoutesPackets, Routing
from .base.values import (
    TABLE_NAMES,
    TABLES,
    Destination,
    Form,
    GatewayAddress,
    Metric,
    Name,
    Range,
    RoutingTable,
    SpecifiedAddress,
    family_of,
    is_link_local,
    not_empty,
)

#: The kernel's metric of an IPv6 route that names none (IP6_RT_PRIO_USER).
IPV6_METRIC = 1024
#: What the kernel says of a route by a link that is down.
LINK_DOWN = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH})
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


class NexthopTable(Table):
    """One hop of a multipath route."""

    via: GatewayAddress | None = option("gateway of this hop", default=None)
    dev: Name | None = option("outgoing link of this hop", default=None)
    weight: Annotated[int, Range(1, 256)] = option("share of the traffic", default=1)


class RouteTable(Table):
    """One route, ip-route(8)."""

    to: Destination = option("destination network")
    via: GatewayAddress | None = option("gateway", default=None)
    dev: Name | None = option("outgoing link", default=None)
    src: SpecifiedAddress | None = option("preferred source address", default=None)
    metric: Metric | None = option("the route with the lowest metric wins", default=None, absent="0 (IPv6: 1024)")
    table: RoutingTable | None = option(
        "routing table", default=None, absent='`"main"`, or that of the VRF that `dev` is a member of'
    )
    type: Literal["unicast", "blackhole", "unreachable", "prohibit"] = option("type of the route", default="unicast")
    onlink: bool = option("the gateway is on the link, even if no address of the link says so", default=False)
    mtu: Annotated[int, Range(68, 65535)] | None = option("path MTU in bytes", default=None)
    nexthops: Annotated[list[NexthopTable], Form(not_empty)] | None = option(
        "next hops of a multipath route", default=None
    )

    def check(self) -> None:
        if self.type != "unicast" and (self.via or self.dev or self.nexthops):
            raise ValueError(f"type: a {self.type} route has no via, dev or nexthops")
        if self.type == "unicast" and not (self.via or self.dev or self.nexthops):
            raise ValueError("to: a route needs via, dev or nexthops")
        if self.nexthops and (self.via or self.dev):
            raise ValueError("nexthops: write via and dev in each of them, not beside them")
        if self.onlink and not (self.via and self.dev):
            raise ValueError("onlink: needs via and dev")
        for hop in self.nexthops or ():
            if not (hop.via or hop.dev):
                raise ValueError("nexthops: each needs via or dev")
        family = self.family
        for name, address in self._addresses():
            # IPv4 by a gateway of IPv6 (RFC 5549): the kernel has no other mixture.
            if family_of(address) != family and (name == "src" or family == 6):
                raise ValueError(f"{name}: '{address}' is IPv{family_of(address)}, the route is IPv{family}")
        self._hops_fit(family)

    def _hops_fit(self, family: int) -> None:
        """What the kernel refuses of IPv6's hops wherever they lead."""
        if self.via and not self.dev and is_link_local(self.via):
            raise ValueError(f"via: '{self.via}' is link-local: write dev, the link that it is on")
        hops, known = self.nexthops or (), set[tuple[str | None, str | None]]()
        for hop in hops:
            if hop.via and not hop.dev and is_link_local(hop.via):
                raise ValueError(f"nexthops: '{hop.via}' is link-local: write dev, the link that it is on")
            if family == 6 and len(hops) > 1 and not hop.via:
                raise ValueError("nexthops: with several IPv6 hops, each needs via")
            if family == 6 and (hop.via, hop.dev) in known:
                raise ValueError(f"nexthops: '{hop.via}' appears twice: IPv6 accepts each hop once; use weight")
            known.add((hop.via, hop.dev))

    @property
    def family(self) -> int:
        """4 or 6: the destination's, else that of src or via, else 4."""
        known = self.to if self.to != "default" else self.src
        if known is not None:
            return family_of(known)
        return next((family_of(address) for _, address in self._addresses()), 4)

    def _addresses(self) -> Iterable[tuple[str, str]]:
        if self.via:
            yield "via", self.via
        for hop in self.nexthops or ():
            if hop.via:
                yield "nexthops", hop.via
        if self.src:
            yield "src", self.src


def route_key(netns: str, table: int, to: str, metric: int) -> Key:
    """route/TABLE/TO/METRIC."""
    return Key(netns, "route", f"{TABLE_NAMES.get(table, str(table))}/{to}/{metric}")


def parse_route_key(key: Key) -> tuple[int, str, int]:
    """(table, to, metric) of a route's key."""
    table, _, rest = key.name.partition("/")
    to, _, metric = rest.rpartition("/")
    return (TABLES[table] if table in TABLES else int(table)), to, int(metric)


def gateway_object(link: LinkName, via: str, metric: int | None, origin: Origin) -> Desired:
    """The default route of a link."""
    table = RouteTable(to="default", via=via, dev=link.name, metric=metric)
    return route_object(table, link.netns, origin)


def route_object(table: RouteTable, netns: str, origin: Origin) -> Desired:
    """The object that one table declares."""
    family = table.family
    metric = table.metric if table.metric is not None else (0 if family == 4 else IPV6_METRIC)
    if family == 6 and metric == 0:
        metric = IPV6_METRIC
    to = DEFAULT[family] if table.to == "default" else table.to
    # One hop alone has the whole traffic: the kernel keeps no weight of it.
    several = len(table.nexthops or ()) > 1
    hops = [[hop.via or "", hop.dev or "", hop.weight if several else 1] for hop in table.nexthops or ()]
    if table.type == "unicast" and not hops:
        hops = [[table.via or "", table.dev or "", 1]]
    fields: dict[str, Any] = {"type": table.type, "hops": tuple(map(tuple, hops)), "duplicates": 0}
    if table.src:
        fields["src"] = table.src
    if table.mtu is not None:
        fields["mtu"] = table.mtu
    if table.onlink:
        fields["onlink"] = True
    devs = [LinkName(netns, str(dev)) for _, dev, _ in hops if dev]
    return Desired(
        key=route_key(netns, TABLES["main"] if table.table is None else int(table.table), to, metric),
        fields=fields,
        origins=(origin,),
        locator={
            "type": table.type,
            "hops": hops,
            "src": table.src or "",
            "mtu": table.mtu or 0,
            "onlink": table.onlink,
        },
        requires=tuple(dict.fromkeys(devs)),
        routed_on=tuple(dict.fromkeys(devs)) if table.table is None else (),
        needs_up=tuple(dict.fromkeys(devs)),
    )


class RouteKind(Kind, BecomesUsable, KeepsAttributes, RoutesPackets):
    """route/TABLE/TO/METRIC."""

    name = "route"
    toml = TomlForm(RouteTable, "array")
    traits = Traits(has_mark=True, guard_fields=frozenset({"duplicates"}), lost_with=frozenset({AddressKind.name}))

    def declare(self, table: RouteTable, context: TableContext) -> Iterable[Desired]:
        yield route_object(table, context.netns, context.origin)

    def in_table(self, desired: Desired, table: int) -> Desired:
        _, to, metric = parse_route_key(desired.key)
        return replace(desired, key=route_key(desired.key.netns, table, to, metric))

    def routing(self, desired: Desired) -> Routing:
        _, to, metric = parse_route_key(desired.key)
        hops = tuple(NextHop(str(via), str(dev)) for via, dev, _ in desired.locator["hops"])
        return Routing(to, metric, hops, bool(desired.locator["onlink"]))

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        routes = [route for route in view.routes(key.netns, *parse_route_key(key)) if route.protocol != RTPROT_RA]
        if not routes:
            return None
        kernels = next((route for route in routes if route.protocol == RTPROT_KERNEL), None)
        if kernels is not None:
            return Observed(fields={}, conflict="a route that the kernel created", handle=())
        # Several of one identity: the first one is used, so netd's must be the only one.
        route = routes[0]
        wanted = tuple((str(via), str(dev), int(weight)) for via, dev, weight in locator["hops"])
        return Observed(
            fields={
                "type": route.type,
                "hops": self._hops(route, wanted, key.netns, view),
                "duplicates": len(routes) - 1,
                "src": route.src,
                "mtu": route.mtu,
                "onlink": any(hop.onlink for hop in route.nexthops),
            },
            identity={"cookie": view.cookie(key.netns)},
            marked=route.protocol == PROTOCOL,
            includes_own=any(other.protocol == PROTOCOL for other in routes),
            displaced=tuple(other.raw.hex() for other in routes if other.protocol != PROTOCOL),
            handle=tuple(routes),
        )

    def _hops(
        self, route: Route, wanted: Sequence[tuple[str, str, int]], netns: str, view: View
    ) -> tuple[tuple[str, str, int], ...]:
        """The hops as they would be written, in the order of ``wanted`` as far as they are equal."""
        if route.type != "unicast":
            return ()
        hops = [self._hop(hop, netns, view) for hop in route.nexthops]
        found: list[tuple[str, str, int]] = []
        for want in wanted:
            # The kernel chooses what is not declared (a hop's dev).
            match = next((h for h in hops if h == want or (not want[1] and (h[0], h[2]) == (want[0], want[2]))), None)
            if match is not None:
                hops.remove(match)
                found.append(want)
        return tuple(found + hops)

    def _hop(self, hop: Nexthop, netns: str, view: View) -> tuple[str, str, int]:
        link = view.link_at(netns, hop.index) if hop.index else None
        return (hop.via, link.name if link else "", hop.weight)

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"src": "", "mtu": 0, "onlink": False}

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        """The kernel takes a source address only once it is usable (fib_valid_prefsrc(), ip6_route_info_create()), and
        a route only by a link that is up."""
        if error.code in LINK_DOWN:
            hops = [LinkName(desired.key.netns, dev) for _, dev, _ in desired.locator["hops"] if dev]
            for name in (*hops, *(each for several in desired.gateways.values() for each in several)):
                found = view.link(*name)
                if found is not None and not found.up:
                    return Unusable(f"waits for {name}: it is down")
        source = desired.locator["src"]
        if not source:
            return None
        for link in view.links(desired.key.netns):
            for cidr, address in view.addresses(desired.key.netns, link.index).items():
                if cidr.partition("/")[0] == source:
                    tentative = address.flags & IFA_F_TENTATIVE and not address.flags & IFA_F_OPTIMISTIC
                    if not tentative:
                        return None
                    carrier = bool(link.flags & IFF_RUNNING)
                    why = "duplicate address detection is not finished" if carrier else f"{link.name} has no carrier"
                    return Unusable(f"waits for {source} on {link.name}: it is tentative, {why}", carrier)
        return Unusable(f"waits for {source}: no link of this namespace has this address")

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        for route in view.own_routes(netns):
            yield route_key(netns, route.table, route.to, route.metric), {"hops": []}

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return {"cookie": view.cookie(key.netns)}

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        devs = [WatchKey("link", key.netns, dev) for _, dev, _ in locator["hops"] if dev]
        return (WatchKey("routes", key.netns, route_name(*parse_route_key(key))), *devs)

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        super().validate_locator(key, locator)
        self._operation(key, locator)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return [Step(Phase.ROUTE, self._operation(desired.key, desired.locator))]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        steps = [Step(Phase.ROUTE, DeleteRoute(key.netns, route)) for route in observed.handle]
        return [*steps, Step(Phase.ROUTE, self._operation(key, locator))]

    def _operation(self, key: Key, locator: Mapping[str, Any]) -> CreateRoute:
        table, to, metric = parse_route_key(key)
        return CreateRoute(
            key.netns,
            family=socket.AF_INET6 if family_of(to) == 6 else socket.AF_INET,
            table=table,
            to=to,
            metric=metric,
            type=locator["type"],
            src=locator["src"],
            mtu=locator["mtu"],
            hops=tuple(Hop(via, dev, weight, locator["onlink"]) for via, dev, weight in locator["hops"]),
        )

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return [Step(Phase.ROUTE, DeleteRoute(key.netns, r)) for r in observed.handle if r.protocol == PROTOCOL]

    def restore(self, key: Key, locator: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        return [Step(Phase.ROUTE, RestoreRoute(key.netns, bytes.fromhex(raw))) for raw in foreign]

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        return {"src": "", "mtu": 0, "onlink": False}.get(field) if found is None else found
