"""Tunnels that carry IP alone: the options of ipip, sit and ip6tnl, IFLA_IPTUN_* in include/uapi/linux/if_tunnel.h."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from netd.kinds.base.options import option
from netd.kinds.base.values import Name, NamespaceOrHost, Range, SpecifiedAddress

from .attributes import Address, Flag, LowerLink, LowerNamespace, Number
from .ends import LinkTable
from .tunnel import TrafficClass, TunnelKind, same_sort

LINK, LOCAL, REMOTE, TTL, TOS, ENCAP_LIMIT, FLOWINFO, FLAGS, PROTO, PMTUDISC = range(1, 11)

Byte = Annotated[int, Range(0, 255)]


def ttl_option(default: int) -> Any:
    """``ttl``; the kernel's default is not the same for all."""
    return option(
        "TTL of the outer packets; 0: that of the inner packet", default=None, wire=Number(TTL, "=B", default=default)
    )


class IpTunnelTable(LinkTable):
    """A tunnel for IP packets."""

    local: SpecifiedAddress | None = option("source address", default=None, wire=Address(LOCAL, LOCAL))
    remote: SpecifiedAddress | None = option(
        "the other end of the tunnel", default=None, wire=Address(REMOTE, REMOTE), live=same_sort
    )
    dev: Name | None = option("the link that carries the tunnel", default=None, wire=LowerLink(LINK), also=("link",))
    dev_namespace: NamespaceOrHost | None = option(
        "namespace of `dev`, in which the outer packets are sent",
        default=None,
        absent="the link's namespace",
        wire=LowerNamespace(),
        live=False,
    )


class Ip4TunnelTable(IpTunnelTable):
    """A tunnel over IPv4."""

    ttl: Byte | None = ttl_option(0)
    tos: Byte | None = option("TOS of the outer packets; 1: inherit", default=None, wire=Number(TOS, "=B", default=0))
    pmtudisc: bool | None = option(
        "path MTU discovery: the outer packets are not fragmented", default=None, wire=Flag(PMTUDISC, default=True)
    )


class IpTunnelKind(TunnelKind):
    """A tunnel without Ethernet."""

    def is_ethernet(self, fields: Mapping[str, Any]) -> bool:
        return False

    def chosen(self, table: Any) -> dict[str, Any]:
        found = super().chosen(table)
        if not table.pmtudisc and table.pmtudisc is not None:
            # A TTL in the message sets "don't fragment" (ip_tunnel_netlink_parms).
            found["ttl"] = 0
        return found


def traffic_class() -> Any:
    """``tos`` over IPv6."""
    return option(
        "traffic class of the outer packets; 1: inherit", default=None, wire=TrafficClass(TOS, FLOWINFO, FLAGS)
    )
