"""IPv6 in IPv4: ``[sit.NAME]``, ip-link(8) "sit"."""

from __future__ import annotations

from .base.kind import TomlForm
from .base.values import Family
from .link.ip_tunnel import Byte, Ip4TunnelTable, IpTunnelKind, ttl_option
from .link.tunnel import check_addresses, check_fragments


class SitTable(Ip4TunnelTable):
    """A tunnel for IPv6 over IPv4."""

    # ipip6_netlink_parms() in net/ipv6/sit.c.
    ttl: Byte | None = ttl_option(64)

    def check(self) -> None:
        super().check()
        check_addresses(self, (Family.IPV4,), "sit0")
        check_fragments(self)


class SitKind(IpTunnelKind):
    """sit/N."""

    name = "sit"
    toml = TomlForm(SitTable)
    fallbacks = frozenset({"sit0"})
