"""IP tunnels (gre, ipip, sit, ip6tnl): what they have in common.

The kernel takes each change of one as a whole: an option that is not in the message goes back to its default
(ipgre_netlink_parms() in net/ipv4/ip_gre.c, ip_tunnel_netlink_parms(), ip6_tnl_netlink_parms()). And it binds a tunnel
to the namespace that it is created in, from where it can be moved.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netd.errors import KernelError
from netd.kinds.base.kind import TableContext
from netd.kinds.base.values import Family, family_of, is_link_local
from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.operations import LinkSettings, SetLink
from netd.model.segment import Tunnel
from netd.model.state import attributes
from netd.model.status import Unusable

from .attributes import options, rewritten, unpack
from .ends import LinkTable, end_changes
from .link_kind import DEV_NAMESPACE, LinkKind

#: IP6_TNL_F_IGN_ENCAP_LIMIT and IP6_TNL_F_USE_ORIG_TCLASS, include/uapi/linux/ip6_tunnel.h.
NO_LIMIT, INHERIT_CLASS = 0x1, 0x2
#: The outer header of IP, and the option with the encapsulation limit of IPv6.
HEADER, LIMIT_OPTION = {Family.IPV4: 20, Family.IPV6: 40}, 8
#: Where nothing is said, iproute2's; the kernel's is 0, which allows no tunnel in the tunnel.
LIMIT = 4


@dataclass(frozen=True, eq=False)
class TrafficClass:
    """TOS of the outer packets: over IPv4 a byte (``tos``), over IPv6 a part of the flow label, or a flag."""

    tos: int
    flow: int
    flags: int
    default: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.tos, self.flow, self.flags)

    @property
    def masks(self) -> Mapping[int, bytes]:
        """The bits of these attributes that are its own."""
        return {self.flow: struct.pack("!I", 0xFF << 20), self.flags: struct.pack("=I", INHERIT_CLASS)}

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        inherit = value == 1
        flow, flags = 0 if inherit else value << 20, INHERIT_CLASS if inherit else 0
        return {self.tos: bytes([value]), self.flow: struct.pack("!I", flow), self.flags: struct.pack("=I", flags)}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        flow = unpack(raw.get(self.flow), "!I")
        if flow is None:
            return unpack(raw.get(self.tos), "=B")
        return 1 if (unpack(raw.get(self.flags), "=I") or 0) & INHERIT_CLASS else flow >> 20 & 0xFF


@dataclass(frozen=True, eq=False)
class EncapsulationLimit:
    """How many tunnels a packet may enter inside of this one; "none" is a flag."""

    number: int
    flags: int
    default: Any = LIMIT

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.number, self.flags)

    @property
    def masks(self) -> Mapping[int, bytes]:
        """The bit of ``flags`` that is its own."""
        return {self.flags: struct.pack("=I", NO_LIMIT)}

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        if value == "none":
            return {self.flags: struct.pack("=I", NO_LIMIT)}
        return {self.number: bytes([value]), self.flags: bytes(4)}

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        if (unpack(raw.get(self.flags), "=I") or 0) & NO_LIMIT:
            return "none"
        return unpack(raw.get(self.number), "=B")


def same_family(want: Any, have: Any) -> bool:
    """A tunnel over IPv4 does not become one over IPv6."""
    return not (want and have) or family_of(want) is family_of(have)


def same_sort(want: Any, have: Any) -> bool:
    """A tunnel to one remote does not become one to any (ip_tunnel_changelink), nor of another family."""
    return bool(want) is bool(have) and (not want or family_of(want) is family_of(have))


def check_addresses(table: Any, families: Sequence[Family], fallback: str) -> None:
    """Checks the addresses of a tunnel: ValueError("KEY: what is wrong")."""
    if not table.local and not table.remote:
        # The kernel's own tunnel has these parameters: EEXIST.
        raise ValueError(f"missing key 'local' or 'remote': without both it would be the same tunnel as {fallback}")
    for name in ("local", "remote"):
        address = getattr(table, name)
        if address and family_of(address) not in families:
            raise ValueError(f"{name}: '{address}' is IPv{family_of(address)}, the tunnel is IPv{families[0]}")
        if address and is_link_local(address) and not table.dev:
            raise ValueError(f"{name}: '{address}' is link-local: write dev, the link that it is on")
    if table.local and table.remote and family_of(table.local) is not family_of(table.remote):
        other = f"'{table.remote}' is IPv{family_of(table.remote)}"
        raise ValueError(f"remote: {other}, and local is IPv{family_of(table.local)}")


def check_fragments(table: Any) -> None:
    """With a TTL of its own the kernel sets "don't fragment"."""
    if table.ttl and table.pmtudisc is False:
        raise ValueError("ttl: with pmtudisc = false the TTL is that of the inner packet: leave out one of the two")


class TunnelKind(LinkKind):
    """A kind with the options ``local``, ``remote`` and ``dev``, for which the kernel keeps one tunnel of each set."""

    moved = True
    #: Names of tunnels that the kernel creates by itself when the module is loaded.
    fallbacks: frozenset[str] = frozenset()

    def family(self, fields: Mapping[str, Any]) -> Family:
        """The family of the outer packets."""
        return Family.IPV4

    def overhead(self, fields: Mapping[str, Any]) -> int:
        """Bytes of the outer headers."""
        return HEADER[self.family(fields)]

    def parameters(self, fields: Mapping[str, Any], netns: str) -> tuple[Any, ...]:
        """What no two tunnels have in common."""
        outer = fields.get(DEV_NAMESPACE, netns)
        return (self.rtnl_kind(fields), outer, *(fields.get(key) or "" for key in ("local", "remote", "dev", "ikey")))

    def carrier(self, fields: Mapping[str, Any], netns: str) -> Tunnel:
        outer = fields.get(DEV_NAMESPACE, netns)
        by_route = bool(fields.get("remote"))
        return Tunnel(fields.get("dev") or "", fields.get("local") or "", self.overhead(fields), outer, by_route)

    def declare(self, table: LinkTable, context: TableContext) -> Iterable[Desired]:
        if context.name in self.fallbacks:
            raise ValueError(f"'{context.name}' is a tunnel of the kernel's own: write another name")
        one, *others = super().declare(table, context)
        parameters = self.parameters(one.fields, context.netns)
        yield replace(one, claims=(*one.claims, "tunnel:" + ":".join(map(str, parameters))))
        yield from others

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        known: dict[tuple[Any, ...], Desired] = {}
        for one in desired:
            other = known.setdefault(self.parameters(one.fields, one.key.netns), one)
            if other is not one:
                yield one, other, f"{one.key} and {other.key} have the same local, remote, dev and key: one is enough"

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        """Another tunnel with the same parameters, wherever it is; the kernel says only "File exists"."""
        fields, key = desired.fields, desired.key
        if error.code != errno.EEXIST or view.link(key.netns, key.name) is not None:
            return None
        wanted, outer = self.parameters(fields, key.netns), fields.get(DEV_NAMESPACE, key.netns)
        for netns in dict.fromkeys((outer, key.netns)):
            for link in view.links(netns):
                if link.kind in self.rtnl_kinds:
                    there = self.read_options(link, netns, view)
                    if self.parameters(there, netns) == wanted:
                        return Unusable(
                            f"waits for {LinkName(netns, link.name)}: it has the same local, remote and key"
                        )
        return Unusable("waits for a tunnel in another namespace with the same local, remote and key")

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        ends = list(end_changes(key.netns, key.name, fields, current=observed.fields.get("name")))
        link = view.link_at(key.netns, int(observed.handle))
        if link is None or not options(self.table).keys() & fields.keys():
            return ends
        dev, outer = fields.get("dev"), observed.fields.get(DEV_NAMESPACE, key.netns)
        settings = SetLink(
            key.netns, key.name, LinkSettings(info=rewritten(self.table, attributes(link.info), fields)), link.kind,
            LinkName(outer, dev) if dev else None, self.lower[1].number if self.lower else 0,
        )  # fmt: skip
        # First, because it changes the MTU by the size of the headers.
        return [Step(Phase.SETTINGS, settings), *ends]
