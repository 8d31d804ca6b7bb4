"""IPv4 in IPv4: ``[ipip.NAME]``, ip-link(8) "ipip"."""

from __future__ import annotations

from .base.kind import TomlForm
from .base.values import Family
from .link.ip_tunnel import Ip4TunnelTable, IpTunnelKind
from .link.tunnel import check_addresses, check_fragments


class IpipTable(Ip4TunnelTable):
    """A tunnel for IPv4 over IPv4."""

    def check(self) -> None:
        super().check()
        check_addresses(self, (Family.IPV4,), "tunl0")
        check_fragments(self)


class IpipKind(IpTunnelKind):
    """ipip/N."""

    name = "ipip"
    toml = TomlForm(IpipTable)
    fallbacks = frozenset({"tunl0"})
