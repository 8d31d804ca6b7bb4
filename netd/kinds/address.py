"""IPv4 and IPv6 addresses: ``addresses = [...]`` of a link."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.dirty import Topic
from netd.model.key import Key, LinkName
from netd.model.marks import ADDRESS_PROTOCOL
from netd.model.operations import CreateRoute, DeleteAddress, Hop, PutAddress
from netd.model.state import (
    IFA_F_DADFAILED,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    IFA_F_PERMANENT,
    IFF_LOOPBACK,
    Address,
    Link,
)

from .kind import Kind, on_link

#: RTPROT_KERNEL and RT_TABLE_MAIN, of the route that the kernel makes for an address.
PROTOCOL_KERNEL, MAIN = 2, 254
LIMITED, FOREVER = "limited", "forever"


def address_object(link: LinkName, address: str, nodad: bool, origin: Origin) -> Desired:
    """One address of a link. An IPv6 one with ``nodad`` is usable at once."""
    fields: dict[str, Any] = {"lifetime": FOREVER, "connected": True, "duplicate": False}
    if nodad and ":" in address:
        fields["nodad"] = True
    return Desired(
        key=Key(link.netns, "address", f"{link.name}/{address}"),
        fields=fields,
        origins=(origin,),
        data={"nodad": nodad},
        needs=(link,),
        claims=(f"address:{link.netns}:{address.partition('/')[0]}",),
    )


class AddressKind(Kind):
    """address/DEV/CIDR."""

    name = "address"
    guards = frozenset({"lifetime", "connected", "duplicate"})

    def declare(self, table: Any, place: Any) -> Iterable[Desired]:
        return ()

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """IPv6 has an address once per link, IPv4 once for each prefix length."""
        known: dict[str, Desired] = {}
        for one in desired:
            address = one.key.name.rpartition("/")[0]
            other = known.setdefault(address, one)
            if ":" in address and other is not one:
                written = other.key.name.partition("/")[2]
                yield one, other, f"the link has it as '{written}' already, and an IPv6 address only once"

    def observe(
        self, key: Key, data: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        dev, _, cidr = key.name.partition("/")
        link = view.link(key.netns, dev)
        if link is None:
            return None
        address = view.addresses(key.netns, link.index).get(cidr)
        if address is None:
            return None
        return Observed(
            fields={
                "lifetime": FOREVER if address.flags & IFA_F_PERMANENT else LIMITED,
                "nodad": bool(address.flags & IFA_F_NODAD),
                # Another machine had it when it came up (RFC 4862): it is not used until it is added anew.
                "duplicate": ":" in cidr and bool(address.flags & IFA_F_DADFAILED),
                "connected": self._connected(key.netns, link, address, view),
            },
            identity={"cookie": view.cookie(key.netns), "index": link.index},
            marked=address.protocol == ADDRESS_PROTOCOL,
        )

    def _connected(self, netns: str, link: Link, address: Address, view: View) -> bool:
        """Whether the kernel's route to the address's own network is there, where there should be one."""
        network = ipaddress.ip_interface(address.address).network
        none = address.flags & IFA_F_NOPREFIXROUTE or address.peer or network.num_addresses == 1
        master = view.link_at(netns, link.master) if link.master else None
        elsewhere = link.flags & IFF_LOOPBACK or (master is not None and master.kind == "vrf")
        if address.protocol != ADDRESS_PROTOCOL or none or elsewhere or not link.up:
            return True
        return str(network) in view.connected(
            netns, link.index, socket.AF_INET6 if network.version == 6 else socket.AF_INET
        )

    def place(self, key: Key, data: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return on_link(LinkName(key.netns, key.name.partition("/")[0]), view)

    def topics(self, key: Key, data: Mapping[str, Any]) -> Iterable[Topic]:
        dev = key.name.partition("/")[0]
        return (Topic("link", key.netns, dev), Topic("addresses", key.netns, dev))

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        key = desired.key
        dev, _, cidr = key.name.partition("/")
        put = PutAddress(key.netns, dev, cidr, bool(desired.data["nodad"]) and ":" in cidr)
        return [*self._make_room(key, dev, cidr, view), Step(Phase.ADDRESS, put)]

    def _make_room(self, key: Key, dev: str, cidr: str, view: View) -> Iterable[Step]:
        """IPv6 has an address once per link: the same one with another prefix length contradicts ours."""
        link = view.link(key.netns, dev)
        if link is None or ":" not in cidr:
            return
        for other in view.addresses(key.netns, link.index):
            if other.split("/")[0] == cidr.split("/")[0] and other != cidr:
                yield Step(Phase.CLEAR, DeleteAddress(key.netns, dev, other))

    def change(
        self, key: Key, data: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        dev, _, cidr = key.name.partition("/")
        nodad = fields.get("nodad", observed.fields["nodad"])
        steps = [Step(Phase.ADDRESS, PutAddress(key.netns, dev, cidr, bool(nodad)))]
        if fields.get("duplicate") is False:
            steps.insert(0, Step(Phase.ADDRESS, DeleteAddress(key.netns, dev, cidr)))
        if fields.get("connected") is True and ":" not in cidr:
            # Of an IPv6 address the kernel makes it again when it is written once more.
            address = ipaddress.ip_interface(cidr)
            route = CreateRoute(
                key.netns, socket.AF_INET, MAIN, str(address.network), 0,
                src=str(address.ip), hops=(Hop(dev=dev),), protocol=PROTOCOL_KERNEL,
            )  # fmt: skip
            steps.append(Step(Phase.ADDRESS, route))
        return steps

    def delete(self, key: Key, data: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        dev, _, cidr = key.name.partition("/")
        if ":" in cidr:
            # Two links of one network must not have it at once, not even for a moment.
            return [Step(Phase.ADDRESS, DeleteAddress(key.netns, dev, cidr))]
        return [Step(Phase.RENUMBERED, DeleteAddress(key.netns, dev, cidr, alone=True))]

    def put_back(self, key: Key, data: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        # A lifetime that ran meanwhile cannot be had again.
        return found if field == "nodad" else None

    def default(self, key: Key, data: Mapping[str, Any], field: str, view: View) -> Any:
        return {"nodad": False}.get(field)
