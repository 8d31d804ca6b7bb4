"""Static neighbours: ``[[neighbor]]``, ip-neighbour(8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.marks import PROTOCOL
from netd.model.operations import DeleteNeighbor, PutNeighbor

from .base.kind import LOOPBACK, Kind, TableContext, TomlForm, Traits, link_by_identity, link_identity
from .base.options import Table, option
from .base.roles import AddressOnLink
from .base.values import Mac, Name, UnicastAddress, family_of
from .proxy import proxy_object


class NeighborTable(Table):
    """One permanent neighbour entry, or (``proxy``) an address that this machine answers for."""

    address: UnicastAddress = option("address of the neighbor")
    mac: Mac | None = option("MAC address of the neighbor", default=None, absent="required, but with `proxy`")
    dev: Name = option("link to the neighbor")
    proxy: bool = option(
        "answer ARP or neighbor solicitations for the address on this link; IPv6 needs the sysctl `proxy_ndp` of the "
        "link as well",
        default=False,
    )

    def check(self) -> None:
        if self.proxy and self.mac is not None:
            raise ValueError("mac: an entry with proxy has none: the link answers with its own")
        if not self.proxy and self.mac is None:
            raise ValueError("mac: missing (only an entry with 'proxy = true' has none)")
        if self.dev == LOOPBACK and family_of(self.address) == 4:
            # arp_constructor(), net/ipv4/arp.c: on such a link every address is 0.0.0.0.
            raise ValueError(f"dev: {LOOPBACK} has no IPv4 neighbours")


class NeighborKind(Kind, AddressOnLink):
    """neighbor/DEV/ADDRESS."""

    name = "neighbor"
    toml = TomlForm(NeighborTable, "array")
    traits = Traits(has_mark=True)

    def declare(self, table: NeighborTable, context: TableContext) -> Iterable[Desired]:
        if table.proxy:
            yield proxy_object(LinkName(context.netns, table.dev), table.address, context.origin)
            return
        yield Desired(
            key=Key(context.netns, "neighbor", f"{table.dev}/{table.address}"),
            fields={"mac": table.mac},
            origins=(context.origin,),
            requires=(LinkName(context.netns, table.dev),),
        )

    def address_on(self, key: Key) -> tuple[LinkName, str]:
        dev, _, address = key.name.partition("/")
        return LinkName(key.netns, dev), address

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        dev, _, address = key.name.partition("/")
        link = link_by_identity(LinkName(key.netns, dev), identity, view)
        neighbor = view.neighbor(key.netns, link.index, address) if link else None
        if link is None or neighbor is None:
            return None
        return Observed(
            fields={"mac": neighbor.mac},
            identity={"cookie": view.cookie(key.netns), "index": link.index},
            marked=neighbor.protocol == PROTOCOL,
            renamed_away=link.name != dev,
            handle=link,
        )

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return link_identity(LinkName(key.netns, key.name.partition("/")[0]), view)

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        dev = key.name.partition("/")[0]
        return (WatchKey("link", key.netns, dev), WatchKey("neighbors", key.netns, dev))

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        dev, _, address = desired.key.name.partition("/")
        put = PutNeighbor(desired.key.netns, dev, address, desired.fields["mac"], PROTOCOL)
        return [Step(Phase.NEIGHBOR, put)]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        address = key.name.partition("/")[2]
        protocol = PROTOCOL if observed.marked else 0
        return [Step(Phase.NEIGHBOR, PutNeighbor(key.netns, observed.handle.name, address, fields["mac"], protocol))]

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        dev, _, address = key.name.partition("/")
        return [Step(Phase.NEIGHBOR, DeleteNeighbor(key.netns, dev, address, observed.handle.index))]
