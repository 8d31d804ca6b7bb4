"""GRE tunnels, for IP or (``tap``) for Ethernet: ``[gre.NAME]``, ip-link(8) "gre", "gretap", "ip6gre", "ip6gretap"."""

from __future__ import annotations

import errno
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal

from netd.errors import KernelError
from netd.model.change import FieldDiff, Step
from netd.model.desired import Desired, View
from netd.model.segment import Links
from netd.model.state import Link

from .base.kind import TomlForm
from .base.options import option
from .base.values import Family, Name, NamespaceOrHost, Range, SpecifiedAddress, family_of
from .link.attributes import Address, Beside, Flag, LowerLink, LowerNamespace, Number, unpack
from .link.ends import LinkTable
from .link.ip_tunnel import Byte
from .link.link_kind import DEV_NAMESPACE, MADE_BY_NETD
from .link.tunnel import (
    HEADER,
    LIMIT,
    LIMIT_OPTION,
    EncapsulationLimit,
    TrafficClass,
    TunnelKind,
    check_addresses,
    check_fragments,
    same_family,
    same_sort,
)

#: IFLA_GRE_*, include/uapi/linux/if_tunnel.h.
LINK, IFLAGS, OFLAGS, IKEY, OKEY, LOCAL, REMOTE, TTL, TOS, PMTUDISC, ENCAP_LIMIT, FLOWINFO, FLAGS = range(1, 14)
#: GRE_CSUM, GRE_KEY, GRE_SEQ there: each is four bytes in the header.
CSUM, KEY, SEQ, WORD = 0x8000, 0x2000, 0x1000, 4
#: The header itself, and that of the Ethernet frame inside.
BASE, ETHERNET_HEADER = 4, 14
#: What rtnetlink calls them, by (Ethernet, outer family).
KINDS = {
    (False, Family.IPV4): "gre", (True, Family.IPV4): "gretap",
    (False, Family.IPV6): "ip6gre", (True, Family.IPV6): "ip6gretap",
}  # fmt: skip
FAMILY = "family"


@dataclass(frozen=True, eq=False)
class Direction:
    """A flag of both directions; where only one has it, that is the value ("in", "out")."""

    mask: int
    default: bool = False

    @property
    def numbers(self) -> tuple[int, ...]:
        return (IFLAGS, OFLAGS)

    @property
    def masks(self) -> Mapping[int, bytes]:
        """The bits of these attributes that are its own."""
        return dict.fromkeys(self.numbers, struct.pack("!H", self.mask))

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        on = {IFLAGS: value in (True, "in"), OFLAGS: value in (True, "out")}
        return {number: struct.pack("!H", self.mask if set_ else 0) for number, set_ in on.items()}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        incoming, outgoing = (bool((unpack(raw.get(each), "!H") or 0) & self.mask) for each in self.numbers)
        return incoming if incoming is outgoing else "in" if incoming else "out"


@dataclass(frozen=True, eq=False)
class Key:
    """The key of one direction; "" for none."""

    number: int
    flags: int
    default: Any = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.number, self.flags)

    @property
    def masks(self) -> Mapping[int, bytes]:
        """The bit of ``flags`` that is its own."""
        return {self.flags: struct.pack("!H", KEY)}

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        if value == "":
            return {self.flags: bytes(2)}
        return {self.number: struct.pack("!I", value), self.flags: struct.pack("!H", KEY)}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        set_ = (unpack(raw.get(self.flags), "!H") or 0) & KEY
        return unpack(raw.get(self.number), "!I") if set_ else ""


Number32 = Annotated[int, Range(0, 2**32 - 1)]


class GreTable(LinkTable):
    """A GRE tunnel."""

    local: SpecifiedAddress | None = option(
        "source address, IPv4 or IPv6", default=None, wire=Address(LOCAL, LOCAL), live=same_family
    )
    remote: SpecifiedAddress | None = option(
        "the other end of the tunnel; its family is that of the outer packets",
        default=None,
        wire=Address(REMOTE, REMOTE),
        live=same_sort,
    )
    tap: bool = option("carry Ethernet frames (gretap) instead of IP packets", default=False, wire=Beside(), live=False)
    key: Number32 | None = option("key of both directions", default=None)
    ikey: Number32 | None = option("key of received packets", default=None, wire=Key(IKEY, IFLAGS))
    okey: Number32 | None = option("key of sent packets", default=None, wire=Key(OKEY, OFLAGS))
    csum: bool | None = option("checksums, required of received packets", default=None, wire=Direction(CSUM))
    seq: bool | None = option("sequence numbers, required of received packets", default=None, wire=Direction(SEQ))
    ttl: Byte | None = option(
        "TTL of the outer packets; 0: that of the inner packet", default=None, wire=Number(TTL, "=B", default=0)
    )
    tos: Byte | None = option(
        "TOS of the outer packets; 1: inherit", default=None, wire=TrafficClass(TOS, FLOWINFO, FLAGS)
    )
    pmtudisc: bool | None = option(
        "path MTU discovery: the outer packets are not fragmented; over IPv6 always on",
        default=None,
        wire=Flag(PMTUDISC, default=True),
    )
    encaplimit: Byte | Literal["none"] | None = option(
        "over IPv6: how many further tunnels a packet may enter inside of this one; the default is 4",
        default=None,
        wire=EncapsulationLimit(ENCAP_LIMIT, FLAGS),
    )
    dev: Name | None = option("the link that carries the tunnel", default=None, wire=LowerLink(LINK), also=("link",))
    dev_namespace: NamespaceOrHost | None = option(
        "namespace of `dev`, in which the outer packets are sent",
        default=None,
        absent="the link's namespace",
        wire=LowerNamespace(),
        live=False,
    )

    def check(self) -> None:
        super().check()
        if self.key is not None and (self.ikey is not None or self.okey is not None):
            raise ValueError("key: it is the key of both directions: leave it out, or ikey and okey")
        check_addresses(self, (Family.IPV4, Family.IPV6), "gretap0" if self.tap else "gre0")
        check_fragments(self)
        six = family_of(self.local or self.remote or "") is Family.IPV6
        if six and self.pmtudisc is False:
            raise ValueError("pmtudisc: no router fragments IPv6: it cannot be switched off")
        if not six and self.encaplimit is not None:
            raise ValueError("encaplimit: only a tunnel over IPv6 has this limit")


class GreKind(TunnelKind):
    """gre/N. ``tap`` and ``family`` decide what rtnetlink calls it."""

    name = "gre"
    toml = TomlForm(GreTable)
    traits = MADE_BY_NETD._replace(guard_fields=frozenset({DEV_NAMESPACE, FAMILY}))
    fallbacks = frozenset({"gre0", "gretap0", "erspan0", "ip6gre0"})

    @cached_property
    def rtnl_kinds(self) -> tuple[str, ...]:
        return tuple(KINDS.values())

    def rtnl_kind(self, fields: Mapping[str, Any]) -> str:
        return KINDS[bool(fields.get("tap")), self.family(fields)]

    def is_ethernet(self, fields: Mapping[str, Any]) -> bool:
        return bool(fields.get("tap"))

    def family(self, fields: Mapping[str, Any]) -> Family:
        return Family(fields.get(FAMILY, Family.IPV4))

    def overhead(self, fields: Mapping[str, Any]) -> int:
        words = [fields.get(key) in (True, "out") for key in ("csum", "seq")] + [fields.get("okey", "") != ""]
        inner = ETHERNET_HEADER if fields.get("tap") else 0
        six = self.family(fields) is Family.IPV6
        limit = LIMIT_OPTION if six and fields.get("encaplimit") != "none" else 0
        return HEADER[self.family(fields)] + BASE + WORD * sum(words) + inner + limit

    def chosen(self, table: GreTable) -> dict[str, Any]:
        keys = {} if table.key is None else {"ikey": table.key, "okey": table.key}
        family = family_of(table.local or table.remote or "")
        found = super().chosen(table) | keys | {FAMILY: int(family)}
        if family is Family.IPV6:
            found.pop("pmtudisc", None)
        return found

    def read_options(self, link: Link, netns: str, view: Links) -> dict[str, Any]:
        tap, family = next(which for which, name in KINDS.items() if name == link.kind)
        absent = "encaplimit" if family is Family.IPV4 else "pmtudisc"
        return {**super().read_options(link, netns, view), "tap": tap, FAMILY: int(family), absent: None}

    def immutable_changes(self, differing: Mapping[str, FieldDiff]) -> set[str]:
        return {*super().immutable_changes(differing), *({FAMILY} & differing.keys())}

    def refusal(self, error: KernelError, fields: Collection[str]) -> str:
        if error.code == errno.EOPNOTSUPP and error.text.startswith("Unknown device type"):
            return "this kernel has no such tunnels: they need its module ip_gre, over IPv6 ip6_gre (modprobe ip_gre)"
        return super().refusal(error, fields)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        six = self.family(desired.fields) is Family.IPV6
        fields = {"encaplimit": LIMIT, **desired.fields} if six else desired.fields
        return super().create(replace(desired, fields=fields), view, memory)
