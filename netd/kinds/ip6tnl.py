"""IPv4 and IPv6 in IPv6: ``[ip6tnl.NAME]``, ip-link(8) "ip6tnl"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from netd.model.change import Step
from netd.model.desired import Desired, View

from .base.kind import TomlForm
from .base.options import option
from .base.values import Family
from .link.attributes import Word
from .link.ip_tunnel import ENCAP_LIMIT, FLAGS, PROTO, Byte, IpTunnelKind, IpTunnelTable, traffic_class, ttl_option
from .link.tunnel import HEADER, LIMIT, LIMIT_OPTION, EncapsulationLimit, check_addresses

#: IPPROTO_* of what may be inside, include/uapi/linux/in.h.
MODES = {"any": 0, "ip6ip6": 41, "ipip6": 4}


class Ip6tnlTable(IpTunnelTable):
    """A tunnel for IPv4 and IPv6 over IPv6."""

    mode: Literal["any", "ip6ip6", "ipip6"] = option(
        "which packets it carries: all, only IPv6, only IPv4",
        default="any",
        wire=Word(PROTO, MODES, "=B", default="any"),
    )
    ttl: Byte | None = ttl_option(0)
    tos: Byte | None = traffic_class()
    pmtudisc: bool = option("path MTU discovery: over IPv6 always on", default=True)
    encaplimit: Byte | Literal["none"] | None = option(
        "how many further tunnels a packet may enter inside of this one; the default is 4",
        default=None,
        wire=EncapsulationLimit(ENCAP_LIMIT, FLAGS),
    )

    def check(self) -> None:
        super().check()
        check_addresses(self, (Family.IPV6,), "ip6tnl0")
        if not self.pmtudisc:
            raise ValueError("pmtudisc: no router fragments IPv6: it cannot be switched off")


class Ip6tnlKind(IpTunnelKind):
    """ip6tnl/N."""

    name = "ip6tnl"
    toml = TomlForm(Ip6tnlTable)
    module = "ip6_tunnel"
    fallbacks = frozenset({"ip6tnl0"})

    def family(self, fields: Mapping[str, Any]) -> Family:
        return Family.IPV6

    def overhead(self, fields: Mapping[str, Any]) -> int:
        return HEADER[Family.IPV6] + (0 if fields.get("encaplimit") == "none" else LIMIT_OPTION)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        fields = {"encaplimit": LIMIT, **desired.fields}
        return super().create(replace(desired, fields=fields), view, memory)
