"""IPv4 and IPv6 addresses: ``addresses = [...]`` of a link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.dirty import Topic
from netd.model.key import Key, LinkName
from netd.model.marks import ADDRESS_PROTOCOL
from netd.model.operations import DeleteAddress, PutAddress
from netd.model.state import IFA_F_NODAD, IFA_F_PERMANENT

from .kind import Kind

LIMITED, FOREVER = "limited", "forever"


def address_object(link: LinkName, address: str, nodad: bool, origin: Origin) -> Desired:
    """One address of a link. An IPv6 one with ``nodad`` is usable at once."""
    fields: dict[str, Any] = {"lifetime": FOREVER}
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
    guards = frozenset({"lifetime"})

    def declare(self, table: Any, place: Any) -> Iterable[Desired]:
        return ()

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
            },
            identity={"cookie": view.cookie(key.netns), "index": link.index},
            marked=address.protocol == ADDRESS_PROTOCOL,
        )

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
        return [Step(Phase.ADDRESS, PutAddress(key.netns, dev, cidr, bool(nodad)))]

    def delete(self, key: Key, data: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        dev, _, cidr = key.name.partition("/")
        return [Step(Phase.ADDRESS, DeleteAddress(key.netns, dev, cidr))]

    def default(self, key: Key, data: Mapping[str, Any], field: str, view: View) -> Any:
        return {"nodad": False}.get(field)
