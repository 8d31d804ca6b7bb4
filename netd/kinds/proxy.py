"""Addresses that a link answers for: ``proxy = true`` of a ``[[neighbor]]``, ip-neighbour(8) "proxy".

The kernel reports no change of them: they are read once a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.marks import PROTOCOL
from netd.model.operations import DeleteNeighbor, PutNeighbor

from .base.kind import Kind, Traits, link_by_identity, link_identity


def proxy_object(link: LinkName, address: str, origin: Origin) -> Desired:
    """One address that a link answers for."""
    return Desired(
        key=Key(link.netns, "proxy", f"{link.name}/{address}"),
        fields={"answers": True},
        origins=(origin,),
        requires=(link,),
    )


class ProxyKind(Kind):
    """proxy/DEV/ADDRESS."""

    name = "proxy"
    traits = Traits(has_mark=True, unannounced=True, guard_fields=frozenset({"answers"}))

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        dev, _, address = key.name.partition("/")
        link = link_by_identity(LinkName(key.netns, dev), identity, view)
        found = view.proxies(key.netns, link.index).get(address) if link else None
        if link is None or found is None:
            return None
        return Observed(
            fields={"answers": True},
            identity={"cookie": view.cookie(key.netns), "index": link.index},
            marked=found.protocol == PROTOCOL,
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
        return [Step(Phase.NEIGHBOR, PutNeighbor(desired.key.netns, dev, address, "", PROTOCOL, proxy=True))]

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        dev, _, address = key.name.partition("/")
        return [Step(Phase.NEIGHBOR, DeleteNeighbor(key.netns, dev, address, observed.handle.index, proxy=True))]
