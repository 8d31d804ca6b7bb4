"""The VLANs of a bridge's port, and of a bridge for its own traffic: ``vlans`` of a link, bridge(8) "vlan"."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from netd.errors import KernelError
from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.operations import SetVlans, VlanRange
from netd.model.state import VLAN_PVID, VLAN_UNTAGGED, Link, PortVlan, attributes
from netd.model.status import Unusable

from .base.kind import link_by_identity
from .base.options import Table, option
from .base.roles import BecomesUsable, OfBridge
from .base.setting_kind import ValueKind
from .base.values import Form, Range

#: IFLA_BR_VLAN_DEFAULT_PVID: the VLAN that a new port is in, untagged.
DEFAULT_PVID = 39
#: VLANs are numbered from 1 to this.
LAST = 4094
#: {VLAN: BRIDGE_VLAN_INFO_*}.
Flags = Mapping[int, int]


def vlan_range(value: int | str) -> tuple[int, int]:
    """(first, last) of a VLAN, or of "40-49"."""
    first, dash, last = str(value).partition("-")
    ends = (first, last if dash else first)
    if not all(each.isdecimal() and 1 <= int(each) <= LAST for each in ends):
        raise ValueError(f"'{value}' is not a VLAN (1 to {LAST}), and not a range such as \"40-49\"")
    if int(ends[0]) > int(ends[1]):
        raise ValueError(f"'{value}' ends before it begins: did you mean \"{ends[1]}-{ends[0]}\"?")
    return int(ends[0]), int(ends[1])


Vlan = Annotated[int, Range(1, LAST)]
VlanIds = Annotated[Vlan | str, Form(vlan_range, 'VLAN, or `"FIRST-LAST"`')]


class VlansTable(Table):
    """The VLANs that a port of a bridge is in: exactly these. Empty: none."""

    pvid: Vlan | None = option("the VLAN of frames that arrive without a tag", default=None, absent="they are dropped")
    untagged: list[VlanIds] = option("VLANs whose frames leave without a tag", default_factory=list)
    tagged: list[VlanIds] = option("VLANs whose frames leave with a tag", default_factory=list)

    def check(self) -> None:
        both = ids(self.untagged) & ids(self.tagged)
        if both:
            raise ValueError(f"tagged: {text_of(both)} is in untagged, too: frames leave with a tag or without")

    def fields(self) -> dict[str, Any]:
        """What is compared. ``pvid`` leaves without a tag, unless it is in ``tagged``."""
        tagged = ids(self.tagged)
        untagged = ids(self.untagged) | ({self.pvid} if self.pvid and self.pvid not in tagged else set())
        return {"pvid": self.pvid or 0, "untagged": text_of(untagged), "tagged": text_of(tagged)}


def ids(ranges: Iterable[Any]) -> set[int]:
    """The VLANs of some ranges."""
    return {vlan for first, last in ranges for vlan in range(first, last + 1)}


def text_of(vlans: Set[int]) -> str:
    """ "10, 20, 40-49"."""
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges_of(vlans))


def ids_of(text: str) -> set[int]:
    """The VLANs of such a text."""
    return ids(vlan_range(part) for part in text.split(", ") if part)


def ranges_of(vlans: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Consecutive ones together."""
    first = last = 0
    for vlan in sorted(vlans):
        if first and vlan != last + 1:
            yield first, last
            first = 0
        first, last = first or vlan, vlan
    if first:
        yield first, last


def flags_of(fields: Mapping[str, Any]) -> Flags:
    """The VLANs that these fields mean."""
    found = dict.fromkeys(ids_of(fields["tagged"]), 0) | dict.fromkeys(ids_of(fields["untagged"]), VLAN_UNTAGGED)
    return found | ({fields["pvid"]: found.get(fields["pvid"], 0) | VLAN_PVID} if fields["pvid"] else {})


def fields_of_port(entries: Mapping[int, PortVlan]) -> dict[str, Any]:
    """The fields of what the kernel has."""
    untagged = {vlan for vlan, one in entries.items() if one.flags & VLAN_UNTAGGED}
    return {
        "pvid": next((vlan for vlan, one in entries.items() if one.flags & VLAN_PVID), 0),
        "untagged": text_of(untagged),
        "tagged": text_of(entries.keys() - untagged),
        "vni": vnis_text({vlan: one.vni for vlan, one in entries.items() if one.vni}),
    }


def vnis_text(vnis: Mapping[int, int]) -> str:
    """ "10=10010, 20=10020": the tunnel of each VLAN."""
    return ", ".join(f"{vlan}={vni}" for vlan, vni in sorted(vnis.items()))


def vnis_of(text: str) -> dict[int, int]:
    """{VLAN: VNI} of such a text."""
    pairs = (part.split("=") for part in text.split(", ") if part)
    return {int(vlan): int(vni) for vlan, vni in pairs}


def changed_ranges(want: Flags, have: Flags) -> Iterator[VlanRange]:
    """Those to add: a PVID is none of a range."""
    fresh = {vlan: flags for vlan, flags in want.items() if have.get(vlan) != flags}
    for flags in sorted(set(fresh.values())):
        vlans = [vlan for vlan, each in fresh.items() if each == flags]
        yield from (VlanRange(first, last, flags) for first, last in ranges_of(vlans))


def vlans_object(
    link: LinkName, table: VlansTable | None, origin: Origin, master: str | None, vnis: Mapping[int, int]
) -> Desired:
    """The VLANs of one link; without a table those that have tunnels (``vnis``), with tags.

    ``master`` None: of a bridge itself, or of a port of which no file says whose.
    """
    fields = table.fields() if table is not None else {"pvid": 0, "untagged": "", "tagged": text_of(vnis.keys())}
    return Desired(
        key=Key(link.netns, "vlans", link.name),
        fields={**fields, "vni": vnis_text(vnis)} if vnis else fields,
        origins=(origin,),
        requires=(link,) if master is None else (link, LinkName(link.netns, master)),
    )


def is_member(link: Link) -> bool:
    """Whether a link can be in VLANs of a bridge: it is one itself, or a port of one."""
    return link.kind == "bridge" or bool(link.port)


class VlansKind(ValueKind, BecomesUsable, OfBridge):
    """vlans/DEV."""

    name = "vlans"
    has_default: ClassVar[bool] = True

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        link = link_by_identity(LinkName(key.netns, key.name), identity, view)
        if link is None or not is_member(link):
            return None
        return Observed(
            fields=fields_of_port(view.vlans(key.netns, link.index)),
            # On another bridge it is in other ones.
            identity={"cookie": view.cookie(key.netns), "index": link.index, "master": link.master},
            renamed_away=link.name != key.name,
            handle=link,
        )

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        link = view.link(desired.key.netns, desired.key.name)
        if link is None or is_member(link):
            return None
        return Unusable(f"waits for {LinkName(desired.key.netns, link.name)} to be a port of a bridge")

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("link", key.netns, key.name), WatchKey("vlans", key.netns, key.name))

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        """On a link that is about to be a port: before it is up, so that no frame leaves in another VLAN."""
        want = flags_of(desired.fields)
        others = tuple(ranges_of(set(range(1, LAST + 1)) - want.keys()))
        vnis = tuple(vnis_of(desired.fields.get("vni", "")).items())
        link = view.link(desired.key.netns, desired.key.name)
        own = len(desired.requires) == 1 and (link is None or link.kind == "bridge")
        put = SetVlans(
            desired.key.netns, desired.key.name, tuple(changed_ranges(want, {})), others, own=own, tunnels=vnis
        )
        return [Step(Phase.LINK_SYSCTL, put)]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        link: Link = observed.handle
        whole = {**observed.fields, **fields}
        want, have = flags_of(whole), flags_of(observed.fields)
        vnis, had = vnis_of(whole["vni"]), vnis_of(observed.fields["vni"])
        put = SetVlans(
            key.netns,
            link.name,
            tuple(changed_ranges(want, have)),
            tuple(ranges_of(have.keys() - want.keys())),
            own=link.kind == "bridge",
            tunnels=tuple(sorted(vnis.items() - had.items())),
            dropped=tuple(sorted(vlan for vlan in had if vnis.get(vlan) != had[vlan] and vlan in want)),
        )
        # Before it leaves its bridge, or enters one.
        return [Step(Phase.LINK, put)]

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        """A port that joins a bridge is in the default VLAN of that."""
        link = view.link(key.netns, key.name)
        if found is not None or link is None:
            return found
        bridge = link if link.kind == "bridge" else view.link_at(key.netns, link.master)
        pvid = int.from_bytes(attributes(bridge.info).get(DEFAULT_PVID, b""), sys.byteorder) if bridge else 0
        return {"pvid": pvid, "untagged": str(pvid or ""), "tagged": "", "vni": ""}[field]
