"""The table ``[vxlan.NAME]``: its options, what contradicts each other in it, and what follows from it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from netd.kinds.base.options import Table, option
from netd.kinds.base.values import (
    Family,
    Form,
    Mac,
    MulticastAddress,
    Name,
    NamespaceOrHost,
    Port,
    Range,
    RemoteAddress,
    SpecifiedAddress,
    UnicastAddress,
    family_of,
    hosts_in,
    is_link_local,
)
from netd.kinds.open_firewall import from_host
from netd.kinds.vlans import ids_of
from netd.kinds.vnis import VNIFILTER
from netd.model.firewall import Match
from netd.model.segment import Tunnel
from netd.model.state import FLOOD, FdbEntry

from .attributes import Address, Flag, LowerLink, LowerNamespace, Number
from .ends import LinkTable
from .link_kind import DEV_NAMESPACE

#: IFLA_VXLAN_*, include/uapi/linux/if_link.h.
VNI, GROUP, LINK, LOCAL, TTL, TOS, LEARNING, AGEING, LIMIT, PORT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 15
GROUP6, LOCAL6, UDP_CSUM, EXTERNAL = 16, 17, 18, 25
#: Outer headers without Ethernet's, and the inner Ethernet header, by the family of the outer: vxlan_headroom().
OVERHEAD = {Family.IPV4: 50, Family.IPV6: 70}

Vni = Annotated[int, Range(1, 16777215)]


def same_family(want: str, have: str) -> bool:
    """vxlan_changelink() changes an address, but not to another family."""
    return not (want and have) or family_of(want) is family_of(have)


def same_cast(want: str, have: str) -> bool:
    """The kernel does not replace a group by a remote."""
    return same_family(want, have) and not (have and ipaddress.ip_address(have).is_multicast)


class VlanVniTable(Table):
    """A VLAN of the bridge, and the VNI that its frames take through the tunnel."""

    vlan: Annotated[int, Range(1, 4094)] = option("VLAN")
    vni: Vni = option("VNI")


class FdbTable(Table):
    """A static entry of the tunnel's forwarding database."""

    mac: Mac = option("MAC address behind the remote; all zeros: a destination for frames to be flooded")
    dst: UnicastAddress = option("address of the remote")
    port: Port | None = option("UDP port of the remote", default=None, absent="the link's `port`")
    vni: Vni | None = option("VNI of the remote", default=None, absent="the link's `vni`")


def distinct(remotes: str | list[str]) -> str | list[str]:
    """Each remote once."""
    if isinstance(remotes, list):
        if len(set(remotes)) != len(remotes):
            raise ValueError("the list contains an address twice")
        if len({family_of(remote) for remote in remotes if not hosts_in([remote])}) > 1:
            raise ValueError("all remotes must be of one family")
    return remotes


Byte = Annotated[int, Range(0, 255)]
Remotes = Annotated[RemoteAddress | list[RemoteAddress], Form(distinct, 'address or `"host:NAME"`, or a list of these')]


class VxlanTable(LinkTable):
    """A VXLAN tunnel."""

    external: bool | None = option(
        "one device for many VNIs: each VLAN of the bridge has its own, `vlan_vni`",
        default=None,
        wire=Flag(EXTERNAL, default=False),
        live=False,
    )
    vnifilter: bool | None = option(
        "an `external` device takes only packets of the VNIs in `vlan_vni`; Linux 5.18",
        default=None,
        wire=Flag(VNIFILTER, default=False),
        live=False,
    )
    vlan_vni: list[VlanVniTable] = option("the VNI of each VLAN, on an `external` device", default_factory=list)
    vni: Vni | None = option(
        "VXLAN network identifier: required, unless the tunnel is `external`",
        default=None,
        wire=Number(VNI),
        live=False,
        also=("id",),
    )
    port: Port = option("UDP port", default=4789, wire=Number(PORT, "!H", default=8472), live=False, also=("dstport",))
    dev: Name | None = option(
        "the link that carries the tunnel", default=None, wire=LowerLink(LINK), live=False, also=("link",)
    )
    dev_namespace: NamespaceOrHost | None = option(
        "namespace of `dev`, in which the outer packets are sent",
        default=None,
        absent="the link's namespace",
        wire=LowerNamespace(),
        live=False,
    )
    local: SpecifiedAddress | None = option(
        "source address", default=None, wire=Address(LOCAL, LOCAL6), live=same_family
    )
    remote: Remotes | None = option(
        "the other end of the tunnel; with a list, frames to be flooded go to each remote",
        default=None,
        wire=Address(GROUP, GROUP6),
        live=same_cast,
    )
    group: MulticastAddress | None = option(
        "multicast group instead of `remote`; requires `dev`",
        default=None,
        wire=Address(GROUP, GROUP6, multicast=True),
        live=False,
    )
    ttl: Byte | None = option("TTL of the outer packets; 0: inherit", default=None, wire=Number(TTL, "=B", default=0))
    tos: Byte | None = option("TOS of the outer packets; 1: inherit", default=None, wire=Number(TOS, "=B", default=0))
    learning: bool | None = option(
        'learn addresses from received frames; `false` with `fdb_owner = "external"`',
        default=None,
        wire=Flag(LEARNING, default=True),
        also=("nolearning",),
    )
    ageing: Annotated[int, Range(1, 2**32 - 1)] | None = option(
        "seconds until the tunnel forgets a learned address", default=None, wire=Number(AGEING, default=300)
    )
    limit: Annotated[int, Range(0, 2**32 - 1)] | None = option(
        "maximum number of entries in the forwarding database; 0: no limit",
        default=None,
        wire=Number(LIMIT, default=0),
        live=False,
    )
    udp_csum: bool | None = option(
        "UDP checksums over IPv4", default=None, wire=Flag(UDP_CSUM, default=True), live=False
    )
    open_firewall: bool = option("packets to the tunnel's port pass the firewalls of other tools", default=False)
    fdb: list[FdbTable] = option("static entries of the forwarding database", default_factory=list)
    fdb_owner: Literal["netd", "external"] = option(
        '`"external"`: a control plane (BGP EVPN) fills the forwarding database, and netd changes only its own entries',
        default="netd",
    )

    def remotes(self) -> list[str]:
        """Where flooding goes: addresses, and "host:NAME"."""
        return [self.remote] if isinstance(self.remote, str) else self.remote or []

    def tunnels(self) -> Mapping[int, int]:
        return {each.vlan: each.vni for each in self.vlan_vni}

    def _vnis_fit(self) -> None:
        """One VNI, or many."""
        if not self.external:
            if self.vni is None:
                raise ValueError("missing key 'vni'")
            for key in ("vnifilter", "vlan_vni"):
                if getattr(self, key):
                    raise ValueError(f"{key}: only a device with external = true has many VNIs")
            return
        for key in ("vni", "group", "fdb"):
            if getattr(self, key):
                raise ValueError(f"{key}: a device with external = true has the VNIs of vlan_vni: leave it out")
        tunnels = self.tunnels()
        if len(tunnels) < len(self.vlan_vni) or len(set(tunnels.values())) < len(tunnels):
            raise ValueError("vlan_vni: each VLAN and each VNI can be in one entry only")
        if tunnels and self.master is None:
            raise ValueError("vlan_vni: this link has no master: VLANs are those of a bridge")
        if self.vlans is not None:
            fields = self.vlans.fields()
            missing = tunnels.keys() - ids_of(fields["tagged"]) - ids_of(fields["untagged"])
            if missing:
                raise ValueError(f"vlan_vni: VLAN {min(missing)} is not in vlans: write it there, too")

    def check(self) -> None:
        super().check()
        self._vnis_fit()
        if self.remote is not None and self.group is not None:
            raise ValueError("group: remote and group exclude each other: a tunnel floods to addresses or to a group")
        if self.group is not None and self.dev is None:
            raise ValueError("group: a multicast group needs dev, the link to join it on")
        if self.remote is not None and self.fdb_owner == "external":
            raise ValueError("remote: the external fdb_owner decides where to flood: leave out one of the two")
        remotes = self.remotes()
        named = [("local", self.local), ("group", self.group)]
        named += [("remote", remote) for remote in remotes if not hosts_in([remote])]
        named += [("fdb", entry.dst) for entry in self.fdb]
        family = next((family_of(address) for _, address in named if address), 4)
        for name, address in named:
            if address and family_of(address) != family:
                raise ValueError(f"{name}: '{address}' is IPv{family_of(address)}, the tunnel is IPv{family}")
        self._scopes_fit()
        entries = [(entry.mac, entry.dst) for entry in self.fdb]
        entries += [(FLOOD, remote) for remote in remotes]
        if len(set(entries)) != len(entries):
            raise ValueError("fdb: two entries have the same mac and dst (each remote is an entry with a mac of zeros)")
        single: set[str] = set()
        for mac, _ in entries:
            if mac in single:
                raise ValueError(f"fdb: '{mac}' is behind two remotes: a unicast address can be behind one only")
            if mac != FLOOD and not int(mac[:2], 16) & 1:
                single.add(mac)

    def _scopes_fit(self) -> None:
        """vxlan_config_validate(), drivers/net/vxlan/vxlan_core.c."""
        name = "remote" if isinstance(self.remote, str) and not hosts_in([self.remote]) else "group"
        other = getattr(self, name)
        if self.local is None or not is_link_local(self.local):
            if name == "remote" and is_link_local(other):
                raise ValueError(f"remote: '{other}' is link-local: write a link-local address as local, too")
            return
        if self.dev is None:
            raise ValueError(f"local: '{self.local}' is link-local: write dev, the link that it is on")
        if other is not None and not is_link_local(other):
            raise ValueError(f"local: '{self.local}' is link-local, and '{other}' is not")


def inlets_of(table: VxlanTable) -> list[Match]:
    """The packets that it must receive: from its remotes, or from any sender on its link (a group, BGP, no remote)."""
    some = Match(protocol="udp", port=str(table.port))
    remotes = dict.fromkeys([*table.remotes(), *(entry.dst for entry in table.fdb)])
    if table.group or table.fdb_owner == "external" or not remotes:
        family = family_of(next((each for each in (table.local, table.group, *remotes) if each), "0.0.0.0"))
        return [some._replace(family="ip" if family == 4 else "ip6", iif=table.dev or "")]
    return [from_host(some, remote) for remote in remotes]


def heard(packets: Match, table: VxlanTable) -> Match:
    """The packets that must arrive, by the link that carries the tunnel."""
    return packets._replace(iif=table.dev or "")


def written_entry(entry: FdbEntry) -> dict[str, Any]:
    """An entry of ``fdb``."""
    more = {name: value for name, value in (("port", entry.port), ("vni", entry.vni)) if value}
    return {"mac": entry.mac, "dst": entry.dst, **more}


def outer_family(addresses: Iterable[str | None]) -> Family | None:
    """The family of a tunnel with these addresses; None: no address."""
    return next((family_of(address) for address in addresses if address), None)


def declared_family(table: VxlanTable) -> Family | None:
    """The family of a declared tunnel; None: not known until the addresses of its hosts are."""
    hosts = hosts_in(table.remotes())
    addresses = [table.local, table.group, *(entry.dst for entry in table.fdb)]
    found = outer_family([*addresses, *(remote for remote in table.remotes() if not hosts_in([remote]))])
    return found or (None if hosts else Family.IPV4)


def vnis_of(table: VxlanTable) -> Sequence[int]:
    """The VNIs that no other tunnel can have; 0 stands for all of a device that takes any."""
    return [table.vni] if table.vni is not None else list(table.tunnels().values()) if table.vnifilter else [0]


def tunnel(fields: Mapping[str, Any], family: Family | None) -> Tunnel:
    """What carries a tunnel with these options."""
    overhead = OVERHEAD[family] if family else None
    return Tunnel(fields.get("dev") or "", fields.get("local") or "", overhead, fields[DEV_NAMESPACE])
