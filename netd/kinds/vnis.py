"""The VNIs that a vxlan with ``vnifilter`` takes: those of its ``vlan_vni``, bridge(8) "vni"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.operations import SetVnis
from netd.model.state import attributes

from .base.kind import link_by_identity
from .base.setting_kind import ValueKind
from .vlans import ranges_of

#: IFLA_VXLAN_VNIFILTER.
VNIFILTER = 30


def vnis_object(link: LinkName, vnis: Iterable[int], origin: Origin) -> Desired:
    """Exactly these."""
    return Desired(Key(link.netns, "vnis", link.name), {"vnis": tuple(sorted(set(vnis)))}, (origin,), requires=(link,))


class VnisKind(ValueKind):
    """vnis/DEV."""

    name = "vnis"
    has_default: ClassVar[bool] = True

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        link = link_by_identity(LinkName(key.netns, key.name), identity, view)
        if link is None or not any(attributes(link.info).get(VNIFILTER, b"")):
            return None
        return Observed(
            fields={"vnis": tuple(sorted(view.vnis(key.netns, link.index)))},
            identity={"cookie": view.cookie(key.netns), "index": link.index},
            renamed_away=link.name != key.name,
            handle=link.name,
        )

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("link", key.netns, key.name), WatchKey("vnis", key.netns, key.name))

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        add = tuple(ranges_of(desired.fields["vnis"]))
        return [Step(Phase.LINK_SYSCTL, SetVnis(desired.key.netns, desired.key.name, add))]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        want, have = set(fields["vnis"]), set(observed.fields["vnis"])
        put = SetVnis(key.netns, observed.handle, tuple(ranges_of(want - have)), tuple(ranges_of(have - want)))
        return [Step(Phase.LINK_SYSCTL, put)]

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        return () if found is None else found
