"""IPv4 and IPv6 addresses: ``addresses = [...]`` of a link."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from netd.kinds import registry
from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.marks import ADDRESS_PROTOCOL
from netd.model.operations import CreateRoute, DeleteAddress, Hop, PutAddress, RestoreAddress
from netd.model.state import (
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    IFA_F_OPTIMISTIC,
    IFA_F_PERMANENT,
    IFA_F_TENTATIVE,
    IFF_LOOPBACK,
    IFF_RUNNING,
    IFF_UP,
    RTPROT_KERNEL,
    Address,
    Link,
    attributes,
)
from netd.model.status import Unusable

from .base.address_values import FOREVER, AddressTable, cidr_of
from .base.kind import LOOPBACK, Kind, Traits, link_by_identity, link_identity
from .base.roles import Announced, AssignedAddress, BecomesUsable, KeepsAttributes, RoutesMembers

#: RT_TABLE_MAIN, of the route that the kernel makes for an address.
MAIN = 254
IFA_RT_PRIORITY = 9
LIMITED = "limited"


def address_key(link: LinkName, cidr: str) -> Key:
    """The object that is this address of a link."""
    return Key(link.netns, "address", f"{link.name}/{cidr}")


def address_object(
    link: LinkName, entry: str | AddressTable, nodad: bool, origin: Origin, before: Sequence[str] = ()
) -> Desired:
    """One address of a link. An IPv6 one with ``nodad`` is usable at once. ``before`` are those written before it."""
    address = cidr_of(entry)
    after = _alike_in_network(address, before)
    fields: dict[str, Any] = {"lifetime": FOREVER, "connected": True, "duplicate": False}
    more: dict[str, Any] = {}
    if isinstance(entry, AddressTable):
        if entry.label is not None:
            more["label"] = entry.label
        if entry.preferred_lft is not None:
            more["deprecated"] = entry.preferred_lft == 0
    if ":" in address:
        fields["prefixlen"] = _length(address)
        if nodad:
            fields["nodad"] = True
    return Desired(
        key=address_key(link, address),
        fields=fields | more,
        origins=(origin,),
        locator={"nodad": nodad} | ({"after": after} if after else {}) | more,
        requires=(link,),
        claims=(f"address:{link.netns}:{address.partition('/')[0]}",),
    )


def _alike_in_network(address: str, others: Sequence[str]) -> list[str]:
    """The addresses of the same network: the first is the source address of packets to this network."""
    network = _network(address)
    return [other for other in others if _network(other) == network]


@lru_cache(maxsize=1 << 16)
def _network(address: str) -> tuple[int, int, int]:
    """Version, length and first address. Cached, because each address of a link is compared with all before it."""
    network = ipaddress.ip_interface(address).network
    return network.version, network.prefixlen, int(network.network_address)


def index_in(raw: bytes) -> int:
    """ifaddrmsg.ifa_index of an address as it was read."""
    index: int = struct.unpack_from("=4xI", raw)[0] if len(raw) >= 8 else 0
    return index


def route_metric(address: Address) -> int:
    """IFA_RT_PRIORITY: of the kernel's route to the address's own network, 0 the usual one."""
    payload = attributes(address.raw[8:]).get(IFA_RT_PRIORITY, b"")
    return int(struct.unpack("=I", payload)[0]) if len(payload) == 4 else 0


def _table_of(link: Link, netns: str, view: View) -> int:
    """The table of the kernel's routes for its addresses, if its master has one; 0: main."""
    master = view.link_at(netns, link.master) if link.master else None
    kind: object = registry().get(master.kind) if master is not None else None
    return kind.member_table(master) if master is not None and isinstance(kind, RoutesMembers) else 0


def _length(cidr: str) -> int:
    return int(cidr.partition("/")[2])


def _alike(cidr: str, there: Mapping[str, Address]) -> Iterable[Address]:
    """The address of a link that the kernel treats as the same one: at most one."""
    alike = (one for one in there.values() if ":" in one.address)
    return [one for one in alike if one.address.split("/")[0] == cidr.split("/")[0] and one.address != cidr]


class AddressKind(Kind, BecomesUsable, KeepsAttributes, Announced, AssignedAddress):
    """address/DEV/CIDR."""

    name = "address"
    traits = Traits(
        guard_fields=frozenset({"lifetime", "connected", "duplicate", "prefixlen"}),
        contention={
            "duplicate": "another host of the segment has this address already (duplicate address detection failed)"
        },
    )

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """IPv6 has an address once per link, IPv4 once for each prefix length."""
        known: dict[str, Desired] = {}
        for one in desired:
            address = one.key.name.rpartition("/")[0]
            other = known.setdefault(address, one)
            if ":" in address and other is not one:
                written = other.key.name.partition("/")[2]
                yield one, other, f"the link already has it as '{written}', and can have an IPv6 address only once"

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        dev, _, cidr = key.name.partition("/")
        link = link_by_identity(LinkName(key.netns, dev), identity, view)
        if link is None:
            return None
        there = view.addresses(key.netns, link.index)
        address = there.get(cidr)
        if address is None:
            return self._in_its_place(key, link, cidr, there)
        place = {"cookie": view.cookie(key.netns), "index": link.index}
        return Observed(
            fields={
                "prefixlen": _length(cidr),
                "lifetime": FOREVER if address.flags & IFA_F_PERMANENT else LIMITED,
                "nodad": bool(address.flags & IFA_F_NODAD),
                # Another machine already had it (RFC 4862): the kernel does not use it until it is added again.
                "duplicate": ":" in cidr and bool(address.flags & IFA_F_DADFAILED),
                "connected": self._connected(key.netns, link, address, view),
                "deprecated": bool(address.flags & IFA_F_DEPRECATED),
                "noprefixroute": bool(address.flags & IFA_F_NOPREFIXROUTE),
                "route_metric": route_metric(address),
                "in_order": self._in_order(cidr, locator, there),
                "label": address.label,
            },
            identity=place,
            marked=address.protocol == ADDRESS_PROTOCOL,
            renamed_away=link.name != dev,
            handle=address,
        )

    def _in_order(self, cidr: str, locator: Mapping[str, Any], there: Mapping[str, Address]) -> bool:
        """Whether the kernel has it after those that the file has before it.

        For IPv6 the newest comes first; an address that would become tentative again is not moved.
        """
        order = list(there)
        if ":" in cidr:
            if not locator["nodad"]:
                return True
            order.reverse()
        position = order.index(cidr)
        return all(other not in there or order.index(other) < position for other in locator.get("after", ()))

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"deprecated": False, "noprefixroute": False, "route_metric": 0, "in_order": True}

    def unusable(self, desired: Desired, observed: Observed, view: View) -> Unusable | None:
        """No program can bind to a tentative address. It is tentative until duplicate address detection is finished."""
        address, dev = observed.handle, desired.key.name.partition("/")[0]
        if not address.flags & IFA_F_TENTATIVE or address.flags & IFA_F_OPTIMISTIC:
            return None
        link = view.link(desired.key.netns, dev)
        if link is None or link.flags & IFF_RUNNING:
            return Unusable("tentative: duplicate address detection is not finished", passes=True)
        what = "has no carrier" if link.up else "is down"
        advice = "nodad = true makes it usable without" if link.up else "up = true sets it up"
        return Unusable(f"tentative, because {dev} {what}: {advice}")

    def address_on(self, key: Key) -> tuple[LinkName, str]:
        dev, _, cidr = key.name.partition("/")
        return LinkName(key.netns, dev), cidr

    def announced(self, key: Key) -> tuple[LinkName, str] | None:
        dev, _, cidr = key.name.partition("/")
        return None if dev == LOOPBACK else (LinkName(key.netns, dev), cidr.partition("/")[0])

    def _in_its_place(self, key: Key, link: Link, cidr: str, there: Mapping[str, Address]) -> Observed | None:
        """An IPv6 address exists once per link: a foreign one with another prefix length is displaced."""
        for other in _alike(cidr, there):
            if other.protocol != ADDRESS_PROTOCOL and other.flags & IFA_F_PERMANENT:
                fields = {"prefixlen": _length(other.address), "lifetime": FOREVER, "connected": True}
                # It has no identity: it must not be mistaken for the one that netd created on that link.
                gives_way, astray = (other.raw.hex(),), link.name != key.name.partition("/")[0]
                return Observed(fields | {"duplicate": False}, displaced=gives_way, renamed_away=astray, handle=other)
        return None

    def _connected(self, netns: str, link: Link, address: Address, view: View) -> bool:
        """Whether the kernel's route to the address's network exists, if there should be one."""
        network = ipaddress.ip_interface(address.address).network
        none = address.flags & IFA_F_NOPREFIXROUTE or address.peer or network.num_addresses == 1
        elsewhere = link.flags & IFF_LOOPBACK or not link.flags & IFF_UP
        if address.protocol != ADDRESS_PROTOCOL or none or elsewhere:
            return True
        family = socket.AF_INET6 if network.version == 6 else socket.AF_INET
        return str(network) in view.connected(netns, link.index, family, _table_of(link, netns, view))

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return link_identity(LinkName(key.netns, key.name.partition("/")[0]), view)

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        dev = key.name.partition("/")[0]
        return (WatchKey("link", key.netns, dev), WatchKey("addresses", key.netns, dev))

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        key = desired.key
        dev, _, cidr = key.name.partition("/")
        put = self._put(key, desired.locator, bool(desired.locator["nodad"]) and ":" in cidr)
        link = view.link(key.netns, dev)
        # IPv4 addresses of several lengths can be on a link at once.
        wrong = _alike(cidr, view.addresses(key.netns, link.index)) if link is not None and ":" in cidr else ()
        return [*(self._clear(key, dev, other) for other in wrong), Step(Phase.ADDRESS, put)]

    def _put(self, key: Key, locator: Mapping[str, Any], nodad: bool) -> PutAddress:
        """The address as it is declared."""
        dev, _, cidr = key.name.partition("/")
        label, deprecated = str(locator.get("label", "")), bool(locator.get("deprecated"))
        return PutAddress(key.netns, dev, cidr, nodad, label=label, deprecated=deprecated)

    def _clear(self, key: Key, dev: str, other: Address) -> Step:
        return Step(Phase.CLEAR, DeleteAddress(key.netns, dev, other.address, other.index))

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        dev, _, cidr = key.name.partition("/")
        found: Address = observed.handle
        if "prefixlen" in fields:
            put = self._put(key, locator, bool(locator["nodad"]))
            return [self._clear(key, dev, found), Step(Phase.ADDRESS, put)]
        nodad = bool(fields.get("nodad", observed.fields["nodad"]))
        put = self._put(key, locator, nodad)
        # What is no longer declared is restored.
        put = replace(put, deprecated=fields.get("deprecated", put.deprecated), label=fields.get("label", put.label))
        if not observed.includes_own:
            # An adopted address keeps what is not declared, and does not get netd's mark.
            put = replace(put, like=found.raw)
            if "deprecated" not in fields and "deprecated" not in locator:
                put = replace(put, deprecated=None)
        steps = [Step(Phase.ADDRESS, put)]
        anew = fields.get("noprefixroute") is False or fields.get("in_order") is True or "label" in fields
        if anew and ":" not in cidr:
            steps.insert(0, Step(Phase.ADDRESS, DeleteAddress(key.netns, dev, cidr, found.index, alone=True)))
        elif (
            (":" in cidr and not fields.keys().isdisjoint({"route_metric", "in_order"}))
            or fields.get("duplicate") is False
            or (fields.get("nodad") is True and found.flags & IFA_F_TENTATIVE)
        ):
            # A tentative address stays tentative until it is added again.
            steps.insert(0, Step(Phase.ADDRESS, DeleteAddress(key.netns, dev, cidr, found.index)))
        if fields.get("connected") is True and ":" not in cidr:
            # For an IPv6 address the kernel recreates the route when the address is written again.
            address = ipaddress.ip_interface(cidr)
            link = view.link(key.netns, dev)
            table = _table_of(link, key.netns, view) if link is not None else 0
            route = CreateRoute(
                key.netns, socket.AF_INET, table or MAIN, str(address.network), 0,
                src=str(address.ip), hops=(Hop(dev=dev),), protocol=RTPROT_KERNEL,
            )  # fmt: skip
            steps.append(Step(Phase.ADDRESS, route))
        return steps

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        dev, _, cidr = key.name.partition("/")
        found: Address = observed.handle
        if ":" in cidr:
            # Two links of one network must not have it at once, not even for a moment.
            return [Step(Phase.ADDRESS, DeleteAddress(key.netns, dev, cidr, found.index))]
        return [Step(Phase.RENUMBERED, DeleteAddress(key.netns, dev, cidr, found.index, alone=True))]

    def restore(self, key: Key, locator: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        """On the link that it was on, even if that was renamed."""
        dev = key.name.partition("/")[0]
        found = ((raw, view.link_at(key.netns, index_in(raw))) for raw in map(bytes.fromhex, foreign))
        return [Step(Phase.ADDRESS, RestoreAddress(key.netns, link.name if link else dev, raw)) for raw, link in found]

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        if field == "label":
            return found or key.name.partition("/")[0]
        # A lifetime that was running cannot be restored.
        return bool(found) if field in ("nodad", "deprecated") else None
