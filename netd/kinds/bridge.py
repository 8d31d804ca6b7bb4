"""Bridges: ``[bridge.NAME]``, ip-link(8) "bridge"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from netd.model.change import Phase, Step
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.key import Key
from netd.model.operations import LinkSettings, SetLink
from netd.model.segment import Links
from netd.model.state import Link, attributes

from .base.kind import TomlForm
from .base.options import option
from .base.values import Range
from .link.attributes import Flag, Number, Word, encode
from .link.ends import LinkTable
from .link.link_kind import LinkKind

#: IFLA_BR_TOPOLOGY_CHANGE: for a while addresses are forgotten after twice the forward delay, and that is shown as the
#: ageing time, until what is set counts again (__br_set_topology_change in net/bridge/br_stp.c).
TOPOLOGY_CHANGE = 14
#: BR_GROUPFWD_RESTRICTED, net/bridge/br_private.h: 01:80:C2:00:00:00, -01 and -02.
RESTRICTED = 0b111
#: ETH_P_8021Q, ETH_P_8021AD.
PROTOCOLS = {"802.1Q": 0x8100, "802.1ad": 0x88A8}


def centiseconds(number: int, default: int) -> Number:
    """Seconds, of which the kernel counts the hundredths."""
    return Number(number, default=default, scale=100)


class BridgeTable(LinkTable):
    """A bridge. Its ``vlans`` are those of its own traffic.

    The attributes are IFLA_BR_* of include/uapi/linux/if_link.h.
    """

    is_bridge: ClassVar[bool] = True

    stp: bool | None = option("spanning tree protocol", default=None, wire=Flag(5, "=I", default=False))
    forward_delay: Annotated[int, Range(0, 30)] | None = option(
        "seconds (2 to 30 with `stp`)", default=None, wire=centiseconds(1, 15)
    )
    hello_time: Annotated[int, Range(1, 10)] | None = option("seconds", default=None, wire=centiseconds(2, 2))
    max_age: Annotated[int, Range(6, 40)] | None = option("seconds", default=None, wire=centiseconds(3, 20))
    ageing_time: Annotated[int, Range(0, 1_000_000)] | None = option(
        "seconds until the bridge forgets a learned address", default=None, wire=centiseconds(4, 300)
    )
    priority: Annotated[int, Range(0, 65535)] | None = option(
        "bridge priority for STP", default=None, wire=Number(6, "=H", default=32768)
    )
    mcast_snooping: bool | None = option("IGMP and MLD snooping", default=None, wire=Flag(23, default=True))
    vlan_filtering: bool | None = option("VLAN filtering", default=None, wire=Flag(7, default=False))
    vlan_default_pvid: Annotated[int, Range(0, 4094)] | None = option(
        "the VLAN that new ports are in, without a tag; 0: none", default=None, wire=Number(39, "=H", default=1)
    )
    vlan_protocol: Literal["802.1Q", "802.1ad"] | None = option(
        "the tags that VLAN filtering looks at", default=None, wire=Word(8, PROTOCOLS, "!H", default="802.1Q")
    )
    group_fwd_mask: Annotated[int, Range(0, 65535)] | None = option(
        "bit mask of link-local group addresses to forward; bits 0 to 2 cannot be set",
        default=None,
        wire=Number(9, "=H", default=0),
    )

    def check(self) -> None:
        super().check()
        if self.stp and self.forward_delay is not None and self.forward_delay < 2:
            raise ValueError("forward_delay: with stp it is 2 to 30 seconds")
        if (self.group_fwd_mask or 0) & RESTRICTED:
            raise ValueError(
                "group_fwd_mask: bits 0 to 2 cannot be set: STP, pause frames and LACP are never forwarded"
            )


class BridgeKind(LinkKind):
    """bridge/N."""

    name = "bridge"
    toml = TomlForm(BridgeTable)
    joins = "ports"
    takes_members = True
    optional = dict.fromkeys(("vlan_filtering", "vlan_default_pvid", "vlan_protocol"), "CONFIG_BRIDGE_VLAN_FILTERING")

    def read_options(self, link: Link, netns: str, view: Links) -> dict[str, Any]:
        found = super().read_options(link, netns, view)
        changing = any(attributes(link.info).get(TOPOLOGY_CHANGE, b""))
        if changing and found["ageing_time"] == 2 * found["forward_delay"]:
            found["ageing_time"] = HIDDEN
        return found

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        key, mtu = desired.key, desired.fields.get("mtu")
        rest = {name: value for name, value in desired.fields.items() if name != "mtu"}
        made, *late = super().create(replace(desired, fields=rest), view, memory)
        if mtu is not None:
            # Only a change of the MTU stops the bridge from following its ports (br_mtu_auto_adjust); and it comes
            # before what the bridge carries, which takes its MTU from it.
            late = [Step(Phase.LINK, SetLink(key.netns, key.name, LinkSettings(mtu=mtu))), *late]
        return [made, *late]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        if fields.get("stp") is not False:
            return super().change(key, locator, observed, fields, view)
        # While STP is on, the kernel enforces limits on times, and it sets the times first.
        off = SetLink(key.netns, key.name, LinkSettings(info=encode(BridgeTable, {"stp": False})), self.name)
        rest = {name: value for name, value in fields.items() if name != "stp"}
        return [Step(Phase.SETTINGS, off), *super().change(key, locator, observed, rest, view)]
