"""VXLAN tunnels: ``[vxlan.NAME]``, RFC 7348, ip-link(8) "vxlan"."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, Literal

from netd.model.change import FieldDiff, Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.firewall import Match
from netd.model.key import Key, LinkName
from netd.model.operations import CreateLink, LinkSettings
from netd.model.segment import ETHERNET, Tunnel
from netd.model.state import Link, attributes

from .base.kind import MtuLimit, TableContext
from .base.options import Table, option
from .base.values import (
    Form,
    Mac,
    MulticastAddress,
    Name,
    Port,
    Range,
    RemoteAddress,
    SpecifiedAddress,
    UnicastAddress,
    family_of,
    hosts_in,
    is_link_local,
)
from .fdb import FLOOD, fdb_object
from .link.ends import (
    EndTable,
    end_changes,
    end_default,
    end_fields,
    end_objects,
    end_of,
    end_wants,
    link_claims,
    unpack,
)
from .link.link_kind import LinkKind
from .open_firewall import closed_text, found_at, from_host, open_object

VNI, GROUP, LINK, LOCAL, TTL, TOS, LEARNING, AGEING, LIMIT, PORT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 15
GROUP6, LOCAL6, UDP_CSUM = 16, 17, 18
#: Numbers: key: (IFLA_VXLAN_*, struct format, the kernel's default), include/uapi/linux/if_link.h.
NUMBERS: Mapping[str, tuple[int, str, Any]] = {
    "vni": (VNI, "=I", None),
    "port": (PORT, "!H", 4789),
    "ttl": (TTL, "=B", 0),
    "tos": (TOS, "=B", 0),
    "learning": (LEARNING, "=B", True),
    "ageing": (AGEING, "=I", 300),
    "limit": (LIMIT, "=I", 0),
    "udp_csum": (UDP_CSUM, "=B", True),
}
FLAGS = frozenset({"learning", "udp_csum"})
OPTIONS = (*NUMBERS, "local", "remote", "group")
#: Outer Ethernet-less headers and the inner Ethernet header, by the family of the outer: vxlan_headroom().
OVERHEAD = {4: 50, 6: 70, 0: 0}

Vni = Annotated[int, Range(1, 16777215)]


class FdbTable(Table):
    """A static entry of the tunnel's forwarding database."""

    mac: Mac = option("MAC address behind the remote; all zero: where to flood")
    dst: UnicastAddress = option("address of the remote")
    port: Port | None = option("UDP port; the vxlan's own by default", default=None)
    vni: Vni | None = option("VNI; the vxlan's own by default", default=None)


def distinct(remotes: str | list[str]) -> str | list[str]:
    """Each remote once."""
    if isinstance(remotes, list):
        if len(set(remotes)) != len(remotes):
            raise ValueError("an address stands twice in the list")
        if len({family_of(remote) for remote in remotes if not hosts_in([remote])}) > 1:
            raise ValueError("all remotes must be of one family")
    return remotes


class VxlanTable(EndTable):
    """A VXLAN tunnel."""

    vni: Vni = option("VXLAN network identifier")
    port: Port = option("UDP port", default=4789)
    dev: Name | None = option("link that carries the tunnel", default=None)
    local: SpecifiedAddress | None = option("source address", default=None)
    remote: Annotated[RemoteAddress | list[RemoteAddress], Form(distinct)] | None = option(
        'the other side, or a list: flooding goes to each; an address, or "host:NAME"', default=None
    )
    group: MulticastAddress | None = option("multicast group instead of a remote; needs dev", default=None)
    ttl: Annotated[int, Range(0, 255)] | None = option("0: inherit", default=None)
    tos: Annotated[int, Range(0, 255)] | None = option("1: inherit", default=None)
    learning: bool | None = option("learn where addresses are from what arrives", default=None)
    ageing: Annotated[int, Range(1, 2**32 - 1)] | None = option("seconds", default=None)
    limit: Annotated[int, Range(0, 2**32 - 1)] | None = option("most FDB entries, 0: no limit", default=None)
    udp_csum: bool | None = option("UDP checksums over IPv4", default=None)
    open_firewall: bool = option("what comes for its port passes the firewalls of other tools", default=False)
    fdb: list[FdbTable] = option("static entries", default_factory=list)
    fdb_owner: Literal["netd", "external"] = option(
        "external: a control plane (BGP EVPN) fills it, netd touches its own entries only", default="netd"
    )

    def remotes(self) -> list[str]:
        """Where flooding goes: addresses, and "host:NAME"."""
        return [self.remote] if isinstance(self.remote, str) else self.remote or []

    def check(self) -> None:
        super().check()
        if self.remote is not None and self.group is not None:
            raise ValueError("group: remote and group exclude each other: a tunnel floods to addresses or to a group")
        if self.group is not None and self.dev is None:
            raise ValueError("group: a multicast group needs dev, the link to join it on")
        if self.remote is not None and self.fdb_owner == "external":
            raise ValueError("remote: the external owner of the table says where to flood: leave out one of the two")
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
            raise ValueError("fdb: an entry of the same mac and dst stands twice (each remote is one of mac zero)")
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
    """What it must hear: its remotes; all on its link, where others can be meant (a group, BGP) or none is written."""
    some = Match(protocol="udp", port=str(table.port))
    remotes = dict.fromkeys([*table.remotes(), *(entry.dst for entry in table.fdb)])
    if table.group or table.fdb_owner == "external" or not remotes:
        family = family_of(next((each for each in (table.local, table.group, *remotes) if each), "0.0.0.0"))
        return [some._replace(family="ip" if family == 4 else "ip6", iif=table.dev or "")]
    return [from_host(some, remote) for remote in remotes]


def payload(fields: Mapping[str, Any]) -> dict[int, bytes]:
    """IFLA_INFO_DATA of the options in ``fields``."""
    found: dict[int, bytes] = {}
    for name, (number, layout, _) in NUMBERS.items():
        if fields.get(name) is not None:
            found[number] = struct.pack(layout, int(fields[name]))
    for name, four, six in (("local", LOCAL, LOCAL6), ("remote", GROUP, GROUP6), ("group", GROUP, GROUP6)):
        if fields.get(name):
            address = ipaddress.ip_address(fields[name])
            found[four if address.version == 4 else six] = address.packed
    return found


def address_of(raw: Mapping[int, bytes], four: int, six: int) -> str:
    """The address in one of two attributes, "" for none."""
    value = raw.get(four) or raw.get(six)
    if not value or len(value) not in (4, 16) or not any(value):
        return ""
    return str(ipaddress.ip_address(value))


def tunnel_of(table: VxlanTable) -> Tunnel:
    """What carries a declared tunnel; an overhead of 0: its hosts' addresses will tell."""
    hosts = hosts_in(table.remotes())
    outer = [table.local, table.group, *(entry.dst for entry in table.fdb)]
    outer += [remote for remote in table.remotes() if not hosts_in([remote])]
    family = next((family_of(address) for address in outer if address), 0 if hosts else 4)
    return Tunnel(table.dev or "", table.local or "", OVERHEAD[family])


def tunnel_seen(link: Link, carrier: str) -> Tunnel:
    """What carries a tunnel that is there; ``carrier`` is the name of its lower link."""
    raw = attributes(link.info)
    local = address_of(raw, LOCAL, LOCAL6)
    return Tunnel(carrier, local, OVERHEAD[6 if raw.keys() & {LOCAL6, GROUP6} else 4])


def lower_link(raw: Mapping[int, bytes], index: int) -> int:
    """The index of the link that carries it, 0 where there is none; ``index`` is what IFLA_LINK says."""
    (own,) = struct.unpack_from("=I", raw.get(LINK, bytes(4)).ljust(4, b"\0"))
    return int(own) or index


def family_with(tunnel: Tunnel) -> int:
    """4 or 6; 0: its hosts' addresses will tell."""
    return next(family for family, taken in OVERHEAD.items() if taken == tunnel.overhead)


class VxlanKind(LinkKind):
    """vxlan/N."""

    name = "vxlan"
    table = VxlanTable
    toml = "vxlan"
    immutable = frozenset({"vni", "port", "dev", "group", "limit", "udp_csum", "family"})

    def declare(self, table: VxlanTable, context: TableContext) -> Iterable[Desired]:
        link = LinkName(context.netns, context.name)
        fields = end_fields(table, made=True)
        fields.update({name: value for name in NUMBERS if (value := getattr(table, name)) is not None})
        if table.fdb_owner == "external":
            # What the kernel learned from traffic would stand beside what the owner knows.
            fields.setdefault("learning", False)
        for name in ("dev", "local", "group"):
            if getattr(table, name) is not None:
                fields[name] = getattr(table, name)
        hosts = hosts_in(table.remotes())
        if isinstance(table.remote, str) and not hosts:
            fields["remote"] = table.remote
        inlets = inlets_of(table)
        tunnel = tunnel_of(table)
        yield Desired(
            key=Key(context.netns, "vxlan", context.name),
            fields=fields,
            origins=(context.origin,),
            locator={"family": family_with(tunnel)},
            provides=(link,),
            requires=(LinkName(context.netns, table.dev),) if table.dev else (),
            after=end_wants(table, context.netns),
            claims=(*link_claims(link), f"vni:{context.netns}:{table.vni}:{table.port}"),
            ends=(end_of(table, link, tunnel=tunnel),),
            hosts=hosts,
            required_ingress=()
            if table.open_firewall
            else tuple(packets._replace(iif=table.dev or "") for packets in inlets),
        )
        for packets in inlets if table.open_firewall else ():
            yield open_object(context.netns, packets, context.at("open_firewall"))
        yield from end_objects(table, context, link)
        if "remote" in fields:
            # The very entry that the kernel makes of this option: another one beside it would send everything twice.
            yield fdb_object(link, FLOOD, fields["remote"], context.at("remote"), via=table.dev or "")
        for number, remote in enumerate(table.remotes() if "remote" not in fields else ()):
            where = context.at("remote", number) if isinstance(table.remote, list) else context.at("remote")
            yield fdb_object(link, FLOOD, remote, where)
        for number, entry in enumerate(table.fdb):
            port = entry.port if entry.port not in (None, table.port) else 0
            vni = entry.vni if entry.vni not in (None, table.vni) else 0
            yield fdb_object(
                link,
                entry.mac,
                entry.dst,
                context.at("fdb", number),
                port=port or 0,
                vni=vni or 0,
                shared=table.fdb_owner == "external",
            )

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """vxlan_config_validate(): one of each number, port and family; what is link-local, one on each link."""
        known: dict[tuple[Any, ...], Desired] = {}
        for one in desired:
            tunnel, fields = one.ends[0].tunnel, one.fields
            if tunnel is None or not tunnel.overhead:
                continue  # of what family it is, its hosts' addresses will tell
            link = fields.get("dev") if is_link_local(tunnel.local) else None
            other = known.setdefault((fields["vni"], fields["port"], tunnel.overhead, link), one)
            if other is not one:
                yield one, other, f"vni: {fields['vni']} on port {fields['port']} is that of {other.key} already"

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**super().owned_fields(desired, memory), "family": desired.locator["family"]}

    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        """Flooding has entries of its own; here it is the source address: this machine's, where none is written."""
        (end,) = desired.ends
        assert end.tunnel is not None
        there = {f"host {name}": addresses[name] for name in desired.hosts if name in addresses}
        if own and not end.tunnel.local:
            there = {"this host": own} | there
        family = family_with(end.tunnel) or next(map(family_of, there.values()), 4)
        for who, address in there.items():
            if family_of(address) != family:
                raise ValueError(f"remote: the address of {who} is IPv{family_of(address)}, the tunnel is IPv{family}")
        local = end.tunnel.local or own
        fields = {**desired.fields, "local": local} if local else desired.fields
        tunnel = Tunnel(end.tunnel.dev, local, OVERHEAD[family])
        hears = tuple(
            packets for each in desired.required_ingress if (packets := found_at(each, addresses)) is not None
        )
        return replace(
            desired,
            fields=fields,
            ends=(end._replace(tunnel=tunnel),),
            hosts=(),
            required_ingress=hears,
            locator={"family": family},
        )

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        found = super().observe(key, locator, view, identity)
        if found is None or found.conflict:
            return found
        # The kernel tells it by an address alone: without one it is as the link was made.
        made = identity if found.identity.items() <= identity.items() else {}
        family = found.fields["family"] or made.get("family") or locator.get("family", 0)
        identified = {**found.identity, "family": family}
        return replace(found, fields={**found.fields, "family": family}, identity=identified)

    def read_options(self, info: bytes, link_index: int, netns: str, view: View) -> dict[str, Any]:
        raw = attributes(info)
        found: dict[str, Any] = {
            name: unpack(raw.get(number), layout, name in FLAGS) for name, (number, layout, _) in NUMBERS.items()
        }
        carrier = view.link_at(netns, lower) if (lower := lower_link(raw, link_index)) else None
        flood = address_of(raw, GROUP, GROUP6)
        multicast = bool(flood) and ipaddress.ip_address(flood).is_multicast
        found["family"] = next((family_of(each) for each in (address_of(raw, LOCAL, LOCAL6), flood) if each), 0)
        found["dev"] = carrier.name if carrier else ""
        found["local"] = address_of(raw, LOCAL, LOCAL6)
        found["remote"] = flood
        found["group"] = flood if multicast else ""
        return found

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        # None of them any more: said as the zero address of the family it has.
        zero = {
            name: "::" if ":" in str(observed.fields.get(name)) else "0.0.0.0"
            for name in ("local", "remote")
            if fields.get(name) == ""
        }
        return super().change(key, locator, observed, {**fields, **zero}, view)

    def missing_ingress(self, desired: Desired, view: View) -> str:
        return (
            closed_text(desired.required_ingress, view.firewall(desired.key.netns)) if desired.required_ingress else ""
        )

    def immutable_changes(self, differing: Mapping[str, FieldDiff]) -> Set[str]:
        """The kernel changes addresses in place, but not their family, and does not leave a group for a remote."""
        families = {
            name: {family_of(address) for address in (differing[name].want, differing[name].have) if address}
            for name in ("local", "remote")
            if name in differing
        }
        several = {name for name, found in families.items() if len(found) > 1}
        remote = differing["remote"].have if "remote" in differing else ""
        left = {"remote"} if remote and ipaddress.ip_address(remote).is_multicast else set()
        return super().immutable_changes(differing) | several | left

    def options_payload(self, fields: Mapping[str, Any]) -> dict[int, bytes]:
        return payload(fields)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        key, fields = desired.key, desired.fields
        info = payload(fields)
        if desired.locator["family"] == 6 and not info.keys() & {GROUP6, LOCAL6}:
            # As no address says so: it would be of IPv4, and take no entry of IPv6.
            info[GROUP6] = bytes(16)
        settings = LinkSettings(
            mtu=fields.get("mtu"), mac=fields.get("mac") or memory.get("mac"), group=self.mark, info=info
        )
        made = CreateLink(key.netns, key.name, "vxlan", settings, dev=fields.get("dev", ""))
        late = {name: value for name, value in fields.items() if name in ("up", "master") or "bridge_port." in name}
        return [Step(Phase.LINK, made), *end_changes(key.netns, key.name, late)]

    def default(self, key: Key, locator: Mapping[str, Any], field: str, view: View) -> Any:
        if field == "mtu":
            return self._mtu_at_birth(key, locator, view)
        if field in NUMBERS:
            return NUMBERS[field][2]
        return {"remote": "", "group": "", "local": "", "dev": ""}.get(field, end_default(field))

    def _mtu_at_birth(self, key: Key, locator: Mapping[str, Any], view: View) -> int | MtuLimit | None:
        """What a new tunnel has, vxlan_dev_configure(): what its dev leaves of a packet."""
        link = view.link(key.netns, key.name)
        if link is None:
            return None
        lower = lower_link(attributes(link.info), link.link)
        carrier = view.link_at(key.netns, lower) if lower else None
        if carrier is None:
            return None if lower else ETHERNET
        return MtuLimit(LinkName(key.netns, carrier.name), OVERHEAD[locator.get("family") or 4])
