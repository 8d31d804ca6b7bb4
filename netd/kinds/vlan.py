"""VLANs: ``[vlan.NAME]``, IEEE 802.1Q, ip-link(8) "vlan"."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from netd.errors import KernelError
from netd.model.desired import Desired, View
from netd.model.key import LinkName
from netd.model.status import Unusable

from .base.kind import TomlForm
from .base.options import option
from .base.values import Name, NamespaceOrHost, Range
from .link.attributes import Bit, LowerLink, LowerNamespace, Number, Word
from .link.ends import LinkTable, declared_up
from .link.link_kind import DEV_NAMESPACE, LinkKind

#: IFLA_VLAN_*, include/uapi/linux/if_link.h.
ID, FLAGS, PROTOCOL = 1, 2, 5
#: VLAN_FLAG_*, include/uapi/linux/if_vlan.h.
REORDER_HDR, GVRP, LOOSE_BINDING, MVRP = 1, 2, 4, 8
#: ETH_P_8021Q and ETH_P_8021AD.
PROTOCOLS = {"802.1Q": 0x8100, "802.1ad": 0x88A8}


class VlanTable(LinkTable):
    """The frames of one VLAN on a lower link, without their tag."""

    dev: Name = option("the lower link", wire=LowerLink(), live=False, also=("link",))
    dev_namespace: NamespaceOrHost | None = option(
        "namespace of `dev`", default=None, absent="the link's namespace", wire=LowerNamespace(), live=False
    )
    id: Annotated[int, Range(1, 4094)] = option("VLAN ID", wire=Number(ID, "=H"), live=False, also=("vlan", "vid"))
    protocol: Literal["802.1Q", "802.1ad"] = option(
        "the tag's protocol", default="802.1Q", wire=Word(PROTOCOL, PROTOCOLS, "!H", default="802.1Q"), live=False
    )
    reorder_hdr: bool | None = option(
        "received frames are shown without their tag", default=None, wire=Bit(FLAGS, REORDER_HDR, default=True)
    )
    loose_binding: bool | None = option(
        "the link is up and down by itself, and not with `dev`",
        default=None,
        wire=Bit(FLAGS, LOOSE_BINDING, default=False),
    )
    gvrp: bool | None = option(
        "register the VLAN at the switch by GVRP", default=None, wire=Bit(FLAGS, GVRP, default=False)
    )
    mvrp: bool | None = option(
        "register the VLAN at the switch by MVRP", default=None, wire=Bit(FLAGS, MVRP, default=False)
    )


class VlanKind(LinkKind):
    """vlan/N."""

    name = "vlan"
    toml = TomlForm(VlanTable)
    module = "8021q"

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """A lower link has each VLAN once, whichever namespaces its links are in (vlan_check_real_dev())."""
        known: dict[tuple[object, ...], Desired] = {}
        for one in desired:
            fields = one.fields
            other = known.setdefault((fields["dev"], fields["id"], fields["protocol"]), one)
            if other is not one:
                yield one, other, f"id: {other.key} is VLAN {fields['id']} of {fields['dev']} already"

    def refused_over(self, one: Desired, lower: Desired) -> str:
        if lower.key.kind == self.name and all(one.fields[key] == lower.fields[key] for key in ("id", "protocol")):
            return f"id: its dev is VLAN {one.fields['id']} itself: write another id, or another protocol"
        name = LinkName(one.fields[DEV_NAMESPACE], one.fields["dev"])
        if one.fields["up"] and not one.fields.get("loose_binding") and declared_up(lower, name) is False:
            return f"up: a VLAN is not up while its dev is down, and {name} is: write up = false, or loose_binding"
        return ""

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        if error.code != errno.ENETDOWN:
            return None
        return Unusable(f"waits for {LinkName(desired.fields[DEV_NAMESPACE], desired.fields['dev'])}: it is down")
