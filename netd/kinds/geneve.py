"""GENEVE tunnels: ``[geneve.NAME]``, RFC 8926, ip-link(8) "geneve"."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from netd.errors import KernelError
from netd.model.desired import Desired, View
from netd.model.key import LinkName
from netd.model.segment import Links, Tunnel
from netd.model.state import Link
from netd.model.status import Unusable

from .base.kind import TableContext, TomlForm
from .base.options import option
from .base.values import Family, NamespaceOrHost, Port, Range, SpecifiedAddress, family_of, is_link_local
from .link.attributes import Address, Flag, LowerNamespace, Number, Word
from .link.ends import LinkTable
from .link.link_kind import DEV_NAMESPACE
from .link.untold import UntoldKind

#: IFLA_GENEVE_*, include/uapi/linux/if_link.h.
ID, REMOTE, TTL, TOS, PORT, REMOTE6, UDP_CSUM, DF = 1, 2, 3, 4, 5, 7, 8, 13
DONT_FRAGMENT = {"unset": 0, "set": 1, "inherit": 2}
#: The outer headers without Ethernet's, and the inner one: GENEVE_IPV4_HLEN and GENEVE_IPV6_HLEN, drivers/net/geneve.c.
OVERHEAD = {Family.IPV4: 50, Family.IPV6: 70}

Byte = Annotated[int, Range(0, 255)]


def same_family(want: str, have: str) -> bool:
    """geneve_nl2info() changes a remote, but not to another family."""
    return bool(want and have) and family_of(want) is family_of(have)


class GeneveTable(LinkTable):
    """A GENEVE tunnel."""

    vni: Annotated[int, Range(0, 2**24 - 1)] = option(
        "virtual network identifier", wire=Number(ID), live=False, also=("id",)
    )
    remote: SpecifiedAddress = option("the other end of the tunnel", wire=Address(REMOTE, REMOTE6), live=same_family)
    port: Port = option("UDP port", default=6081, wire=Number(PORT, "!H", default=6081), live=False, also=("dstport",))
    dev_namespace: NamespaceOrHost | None = option(
        "namespace in which the outer packets are sent",
        default=None,
        absent="the link's namespace",
        wire=LowerNamespace(),
        live=False,
    )
    ttl: Byte | None = option(
        "TTL of the outer packets; 0: the machine's default", default=None, wire=Number(TTL, "=B", default=0)
    )
    tos: Byte | None = option("TOS of the outer packets; 1: inherit", default=None, wire=Number(TOS, "=B", default=0))
    udp_csum: bool | None = option(
        "UDP checksums over IPv4; over IPv6 they are always on",
        default=None,
        wire=Flag(UDP_CSUM, default=False),
        live=False,
    )
    df: Literal["unset", "set", "inherit"] | None = option(
        'whether routers may fragment the outer packets over IPv4: `"inherit"`: as the inner packet',
        default=None,
        wire=Word(DF, DONT_FRAGMENT, "=B", default="unset"),
    )

    def check(self) -> None:
        super().check()
        if is_link_local(self.remote):
            raise ValueError(
                f"remote: '{self.remote}' is link-local: a geneve has no dev, so the kernel cannot reach it"
            )
        if family_of(self.remote) is Family.IPV6 and self.udp_csum is False:
            raise ValueError("udp_csum: UDP over IPv6 always has checksums")


class GeneveKind(UntoldKind):
    """geneve/N."""

    name = "geneve"
    toml = TomlForm(GeneveTable)

    def carrier(self, fields: Mapping[str, Any], netns: str) -> Tunnel:
        overhead = OVERHEAD[family_of(fields["remote"])]
        return Tunnel("", "", overhead, fields.get(DEV_NAMESPACE, netns), by_route=True)

    def chosen(self, table: GeneveTable) -> dict[str, Any]:
        found = super().chosen(table)
        if family_of(table.remote) is Family.IPV6:
            found.pop("udp_csum", None)
        return found

    def read_options(self, link: Link, netns: str, view: Links) -> dict[str, Any]:
        found = super().read_options(link, netns, view)
        return {**found, "udp_csum": None} if ":" in found["remote"] else found

    def declare(self, table: GeneveTable, context: TableContext) -> Iterable[Desired]:
        one, *others = super().declare(table, context)
        yield replace(one, claims=(*one.claims, "geneve:" + ":".join(map(str, parameters(one.fields)))))
        yield from others

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """geneve_configure(): one of each number, port and remote."""
        known: dict[tuple[Any, ...], Desired] = {}
        for one in desired:
            other = known.setdefault(parameters(one.fields), one)
            if other is not one:
                yield one, other, f"vni: {other.key} already uses {one.fields['vni']} to {one.fields['remote']}"

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        key, fields = desired.key, desired.fields
        if error.code not in (errno.EBUSY, errno.EEXIST) or view.link(key.netns, key.name) is not None:
            return None
        for link in view.links(fields[DEV_NAMESPACE]):
            there = self.read_options(link, key.netns, view) if link.kind == self.name else {}
            if all(there.get(name) == fields[name] for name in ("vni", "port", "remote")):
                name = LinkName(fields[DEV_NAMESPACE], link.name)
                return Unusable(f"waits for {name}: it has the same vni, port and remote")
        return Unusable("waits for a tunnel in another namespace with the same vni, port and remote")


def parameters(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """What no two tunnels have in common."""
    return tuple(fields[name] for name in (DEV_NAMESPACE, "vni", "port", "remote"))
