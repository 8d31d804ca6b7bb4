"""Bonds: ``[bond.NAME]``, ip-link(8) "bond", and Documentation/networking/bonding.rst of Linux."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Annotated, Any, ClassVar, Literal

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.operations import LinkSettings, SetLink
from netd.model.state import Link, attributes

from .base.kind import TableContext, TomlForm
from .base.options import option
from .base.roles import GovernsMembers
from .base.values import Name, Range
from .bond_primary import primary_object
from .link.attributes import Number, Word
from .link.ends import LinkTable
from .link.link_kind import LinkKind

MODES = {
    "balance-rr": 0, "active-backup": 1, "balance-xor": 2, "broadcast": 3, "802.3ad": 4, "balance-tlb": 5,
    "balance-alb": 6,
}  # fmt: skip
#: Those in which one member carries the traffic, or more of it than others.
WITH_PRIMARY = ("active-backup", "balance-tlb", "balance-alb")
LACP = "802.3ad"
HASHES = {"layer2": 0, "layer3+4": 1, "layer2+3": 2, "encap2+3": 3, "encap3+4": 4, "vlan+srcmac": 5}
#: fail_over_mac: members have the bond's MAC address, or their own.
FAIL_OVER = {"none": 0, "active": 1, "follow": 2}
FAIL_OVER_MAC = Word(13, FAIL_OVER, "=B", default="none")
#: Options that can change only while the bond is down: BOND_OPTFLAG_IFDOWN, drivers/net/bonding/bond_options.c.
WHILE_DOWN = frozenset({"lacp_rate", "ad_select"})
#: The kernel counts them in units of miimon.
DELAYS = ("updelay", "downdelay")

Milliseconds = Annotated[int, Range(0, 2**31 - 1)]


class BondTable(LinkTable):
    """Several links as one: those that have it as their `master`. The attributes are IFLA_BOND_*."""

    mode: Literal[
        "active-backup", "balance-rr", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"
    ] = option(
        "how traffic is divided among the members",
        default="active-backup",
        wire=Word(1, MODES, "=B", default="balance-rr"),
        live=False,
    )
    miimon: Milliseconds = option(
        "milliseconds between two looks at the carrier of a member; 0: none", default=100, wire=Number(3, default=0)
    )
    updelay: Milliseconds | None = option(
        "milliseconds until a member with a carrier is used; a multiple of `miimon`",
        default=None,
        wire=Number(4, default=0),
    )
    downdelay: Milliseconds | None = option(
        "milliseconds until a member without a carrier is no longer used; a multiple of `miimon`",
        default=None,
        wire=Number(5, default=0),
    )
    primary: Name | None = option(
        "the member that is used while it can be: for `active-backup`, `balance-tlb` and `balance-alb`", default=None
    )
    lacp_rate: Literal["slow", "fast"] | None = option(
        "how often the partner is to send LACP frames: for `802.3ad`",
        default=None,
        wire=Word(21, {"slow": 0, "fast": 1}, "=B", default="slow"),
    )
    xmit_hash_policy: Literal["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"] | None = option(
        "what decides on the member: for `balance-xor`, `802.3ad` and `balance-tlb`",
        default=None,
        wire=Word(14, HASHES, "=B", default="layer2"),
    )
    min_links: Annotated[int, Range(0, 2**31 - 1)] | None = option(
        "fewest members with a carrier with which the bond has one: for `802.3ad`",
        default=None,
        wire=Number(18, default=0),
    )
    ad_select: Literal["stable", "bandwidth", "count"] | None = option(
        "which group of members is used: for `802.3ad`",
        default=None,
        wire=Word(22, {"stable": 0, "bandwidth": 1, "count": 2}, "=B", default="stable"),
    )
    fail_over_mac: Literal["none", "active", "follow"] | None = option(
        "whether members keep their own MAC addresses", default=None, wire=FAIL_OVER_MAC, live=False
    )

    def check(self) -> None:
        super().check()
        if self.primary is not None and self.mode not in WITH_PRIMARY:
            raise ValueError(f"primary: mode {self.mode} has none, only {', '.join(WITH_PRIMARY)}")
        if self.lacp_rate is not None and self.mode != LACP:
            raise ValueError(f'lacp_rate: mode {self.mode} has no LACP: write mode = "{LACP}"')
        for key in DELAYS:
            value = getattr(self, key)
            if value and not self.miimon:
                raise ValueError(f"{key}: without miimon there is no delay")
            if value and value % self.miimon:
                raise ValueError(f"{key}: must be a multiple of miimon, which is {self.miimon}")


class BondKind(LinkKind, GovernsMembers):
    """bond/N."""

    name = "bond"
    toml = TomlForm(BondTable)
    joins = "members"
    takes_members = True
    module: ClassVar[str] = "bonding"

    def declare(self, table: BondTable, context: TableContext) -> Iterable[Desired]:
        yield from super().declare(table, context)
        if table.primary is not None:
            yield primary_object(LinkName(context.netns, context.name), table.primary, context.at("primary"))

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        if fields.get("miimon"):
            # Another unit: the delays would change with it.
            fields = {**{name: observed.fields[name] for name in DELAYS}, **fields}
        steps = super().change(key, locator, observed, fields, view)
        up = fields.get("up", observed.fields["up"])
        if not WHILE_DOWN & fields.keys() or not observed.fields["up"]:
            return steps
        down, back = (SetLink(key.netns, key.name, LinkSettings(up=each)) for each in (False, up))
        return [Step(Phase.SETTINGS, down), *steps, Step(Phase.UP, back)]

    def hidden_of_members(self, master: Link) -> Set[str]:
        own = FAIL_OVER_MAC.decode(attributes(master.info)) == "active"
        return frozenset() if own else frozenset({"mac"})
