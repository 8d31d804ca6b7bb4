"""Bridges: ``[bridge.NAME]``, ip-link(8) "bridge"."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from netd.model.change import Phase, Step
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.operations import CreateLink, LinkSettings, SetLink
from netd.model.state import attributes

from .base.kind import TableContext
from .base.options import option
from .base.values import Range
from .link.ends import (
    EndTable,
    end_changes,
    end_default,
    end_fields,
    end_objects,
    end_of,
    end_wants,
    link_claims,
    unpack,
)
from .link.link_kind import LinkKind

#: key: (IFLA_BR_*, struct format, units per second or 0, the kernel's default), include/uapi/linux/if_link.h.
FIELDS: Mapping[str, tuple[int, str, int, Any]] = {
    "forward_delay": (1, "=I", 100, 15),
    "hello_time": (2, "=I", 100, 2),
    "max_age": (3, "=I", 100, 20),
    "ageing_time": (4, "=I", 100, 300),
    "stp": (5, "=I", 0, False),
    "priority": (6, "=H", 0, 32768),
    "vlan_filtering": (7, "=B", 0, False),
    "group_fwd_mask": (9, "=H", 0, 0),
    "mcast_snooping": (23, "=B", 0, True),
}
FLAGS = frozenset({"stp", "vlan_filtering", "mcast_snooping"})

#: IFLA_BR_TOPOLOGY_CHANGE: for a while addresses are forgotten after twice the forward delay, and that is shown as the
#: ageing time, until what is set counts again (__br_set_topology_change in net/bridge/br_stp.c).
TOPOLOGY_CHANGE = 14
#: BR_GROUPFWD_RESTRICTED, net/bridge/br_private.h: 01:80:C2:00:00:00, -01 and -02.
RESTRICTED = 0b111

Seconds = Annotated[int, Range(0, 1_000_000)]


class BridgeTable(EndTable):
    """A bridge. Times are in seconds."""

    stp: bool | None = option("spanning tree protocol", default=None)
    forward_delay: Annotated[int, Range(0, 30)] | None = option("seconds (2 to 30 with stp)", default=None)
    hello_time: Annotated[int, Range(1, 10)] | None = option("seconds", default=None)
    max_age: Annotated[int, Range(6, 40)] | None = option("seconds", default=None)
    ageing_time: Seconds | None = option("seconds until a learnt address is forgotten", default=None)
    priority: Annotated[int, Range(0, 65535)] | None = option("bridge priority for STP", default=None)
    mcast_snooping: bool | None = option("IGMP and MLD snooping", default=None)
    vlan_filtering: bool | None = option("VLAN filtering", default=None)
    group_fwd_mask: Annotated[int, Range(0, 65535)] | None = option(
        "link-local group addresses to forward, as a bit mask", default=None
    )

    def check(self) -> None:
        super().check()
        if self.master is not None:
            raise ValueError("master: a bridge cannot be a port of a bridge")
        if self.stp and self.forward_delay is not None and self.forward_delay < 2:
            raise ValueError("forward_delay: with stp it is 2 to 30 seconds")
        if (self.group_fwd_mask or 0) & RESTRICTED:
            raise ValueError("group_fwd_mask: bits 0 to 2 cannot be set: STP, pause frames and LACP stay here")


def payload(fields: Mapping[str, Any]) -> dict[int, bytes]:
    """IFLA_INFO_DATA of the options in ``fields``."""
    found: dict[int, bytes] = {}
    for name, (number, layout, units, _) in FIELDS.items():
        if fields.get(name) is not None:
            # What was found, and is put back, may be a part of a second.
            value = round(fields[name] * units) if units else int(fields[name])
            found[number] = struct.pack(layout, value)
    return found


class BridgeKind(LinkKind):
    """bridge/N."""

    name = "bridge"
    table = BridgeTable
    toml = "bridge"

    def declare(self, table: BridgeTable, context: TableContext) -> Iterable[Desired]:
        link = LinkName(context.netns, context.name)
        fields = end_fields(table, made=True)
        fields.update({name: value for name in FIELDS if (value := getattr(table, name)) is not None})
        yield Desired(
            key=Key(context.netns, "bridge", context.name),
            fields=fields,
            origins=(context.origin,),
            provides=(link,),
            after=end_wants(table, context.netns),
            claims=link_claims(link),
            ends=(end_of(table, link, bridge=True),),
        )
        yield from end_objects(table, context, link)

    def read_options(self, info: bytes, link_index: int, netns: str, view: View) -> dict[str, Any]:
        raw = attributes(info)
        found: dict[str, Any] = {}
        for name, (number, layout, units, _) in FIELDS.items():
            value = unpack(raw.get(number), layout, name in FLAGS)
            if value is not None and units:
                value = value // units if value % units == 0 else value / units
            found[name] = value
        if any(raw.get(TOPOLOGY_CHANGE, b"")) and found["ageing_time"] == 2 * found["forward_delay"]:
            found["ageing_time"] = HIDDEN
        return found

    def options_payload(self, fields: Mapping[str, Any]) -> dict[int, bytes]:
        return payload(fields)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        key, fields = desired.key, desired.fields
        settings = LinkSettings(mac=fields.get("mac") or memory.get("mac"), group=self.mark, info=payload(fields))
        steps = [Step(Phase.LINK, CreateLink(key.netns, key.name, "bridge", settings))]
        if "mtu" in fields:
            # Only a change of the MTU tells the bridge not to follow its ports (br_mtu_auto_adjust); and it comes
            # before what the bridge carries, which takes its MTU from it.
            steps.append(Step(Phase.LINK, SetLink(key.netns, key.name, LinkSettings(mtu=fields["mtu"]))))
        return [*steps, *end_changes(key.netns, key.name, {"up": fields["up"]} if "up" in fields else {})]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        if fields.get("stp") is not False:
            return super().change(key, locator, observed, fields, view)
        # While it is on, times are held to its limits, and the kernel takes times first.
        off = SetLink(key.netns, key.name, LinkSettings(info=payload({"stp": False})), "bridge")
        rest = {name: value for name, value in fields.items() if name != "stp"}
        return [Step(Phase.SETTINGS, off), *super().change(key, locator, observed, rest, view)]

    def default(self, key: Key, locator: Mapping[str, Any], field: str, view: View) -> Any:
        return FIELDS[field][3] if field in FIELDS else end_default(field)
