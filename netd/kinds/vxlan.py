"""VXLAN tunnels: ``[vxlan.NAME]``, RFC 7348, ip-link(8) "vxlan"."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netd.errors import KernelError
from netd.model.change import FieldDiff, Step
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.operations import CreateLink
from netd.model.segment import Links, Tunnel
from netd.model.state import FLOOD, NTF_EXT_LEARNED, Link
from netd.model.status import Unusable

from .base.kind import TableContext, TomlForm
from .base.roles import NamesHosts
from .base.values import (
    Family,
    family_of,
    hosts_in,
    is_link_local,
)
from .fdb import fdb_object
from .link.link_kind import DEV_NAMESPACE, LinkKind
from .link.vxlan_table import (
    GROUP6,
    LOCAL6,
    VxlanTable,
    declared_family,
    heard,
    inlets_of,
    outer_family,
    tunnel,
    vnis_of,
    written_entry,
)
from .open_firewall import closed_text, found_at, open_object
from .vnis import vnis_object


class VxlanKind(LinkKind, NamesHosts):
    """vxlan/N. ``family`` is that of its outer packets, which the kernel derives from an address."""

    name = "vxlan"
    toml = TomlForm(VxlanTable)

    def flooded_to(self, link: LinkName, index: int, view: View) -> Sequence[str]:
        return [one.dst for one in view.fdb(link.netns, index) if one.mac == FLOOD]

    def declare(self, table: VxlanTable, context: TableContext) -> Iterable[Desired]:
        link = LinkName(context.netns, context.name)
        family, hosts, inlets = declared_family(table), hosts_in(table.remotes()), inlets_of(table)
        one, *others = super().declare(table, context)
        fields, outer = dict(one.fields), one.fields[DEV_NAMESPACE]
        addresses = [table.local or "", *(remote for remote in table.remotes() if not hosts_in([remote]))]
        if outer != context.netns and any(map(is_link_local, addresses)):
            raise ValueError("dev_namespace: a tunnel between link-local addresses must be in the namespace of its dev")
        if table.fdb_owner == "external":
            # Addresses that the kernel learns would mix with the entries of the control plane.
            fields.setdefault("learning", False)
        if not isinstance(table.remote, str) or hosts or outer != context.netns or table.external:
            # In another namespace it is an entry, as in a list: the kernel could not restore that of this option.
            fields.pop("remote", None)
        yield replace(
            one,
            fields=fields,
            locator={**one.locator, "family": family},
            claims=(*one.claims, *(f"vni:{outer}:{vni}:{table.port}" for vni in vnis_of(table))),
            ends=(one.ends[0]._replace(tunnel=tunnel(fields, family)),),
            hosts=hosts,
            required_ingress=() if table.open_firewall else tuple(heard(packets, table) for packets in inlets),
        )
        for packets in inlets if table.open_firewall else ():
            yield open_object(outer, packets, context.at("open_firewall"))
        yield from others
        if "remote" in fields:
            # The entry that the kernel creates from this option: a second one would send every frame twice.
            yield fdb_object(link, FLOOD, fields["remote"], context.at("remote"), via=table.dev or "")
        for number, remote in enumerate(table.remotes() if "remote" not in fields else ()):
            where = context.at("remote", number) if isinstance(table.remote, list) else context.at("remote")
            if not table.external:
                yield fdb_object(link, FLOOD, remote, where)
            for vni in table.tunnels().values():
                yield fdb_object(link, FLOOD, remote, where, vni=vni, source=vni)
        for number, entry in enumerate(table.fdb):
            yield fdb_object(
                link,
                entry.mac,
                entry.dst,
                context.at("fdb", number),
                port=entry.port if entry.port and entry.port != table.port else 0,
                vni=entry.vni if entry.vni and entry.vni != table.vni else 0,
                shared=table.fdb_owner == "external",
            )

        if table.vnifilter:
            yield vnis_object(link, table.tunnels().values(), context.at("vlan_vni"))

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """vxlan_config_validate(): one of each number, port and family; what is link-local, one on each link."""
        known: dict[tuple[Any, ...], Desired] = {}
        for one in desired:
            family, fields = one.locator["family"], one.fields
            if family is None:
                continue  # not known until the addresses of its hosts are
            link = fields.get("dev") if is_link_local(fields.get("local", "")) else None
            vni = fields.get("vni", "many VNIs")
            other = known.setdefault((vni, fields["port"], family, link), one)
            if other is not one:
                yield one, other, f"vni: {other.key} already uses {vni} on port {fields['port']}"

    def carrier(self, fields: Mapping[str, Any], netns: str) -> Tunnel:
        return tunnel(fields, fields.get("family") or Family.IPV4)

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**super().owned_fields(desired, memory), "family": desired.locator["family"]}

    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        """Flooding has its own entries; this is the source address: this machine's, if none is declared."""
        local = desired.fields.get("local", "")
        there = {f"host {name}": addresses[name] for name in desired.hosts if name in addresses}
        if own and not local:
            there = {"this host": own} | there
        family = desired.locator["family"] or outer_family(there.values()) or Family.IPV4
        for who, address in there.items():
            if family_of(address) != family:
                raise ValueError(f"remote: the address of {who} is IPv{family_of(address)}, the tunnel is IPv{family}")
        local = local or own
        fields = {**desired.fields, "local": local} if local else desired.fields
        heard_from = (found_at(each, addresses) for each in desired.required_ingress)
        return replace(
            desired,
            fields=fields,
            ends=(desired.ends[0]._replace(tunnel=tunnel(fields, family)),),
            hosts=(),
            required_ingress=tuple(packets for packets in heard_from if packets is not None),
            locator={**desired.locator, "family": family},
        )

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        found = super().observe(key, locator, view, identity)
        if found is None or found.conflict:
            return found
        # Without an address the family is that of the create call.
        made = identity if found.identity.items() <= identity.items() else {}
        family = found.fields["family"] or made.get("family") or locator.get("family") or None
        identified = {**found.identity, "family": family}
        return replace(found, fields={**found.fields, "family": family}, identity=identified)

    def read_options(self, link: Link, netns: str, view: Links) -> dict[str, Any]:
        found = super().read_options(link, netns, view)
        # Where there is no filter, the kernel says nothing of it.
        found["vnifilter"] = bool(found["vnifilter"])
        return {**found, "family": outer_family((found["local"], found["remote"]))}

    def written(self, at: LinkName, link: Link, view: View) -> dict[str, Any]:
        """With its forwarding database: where flooding goes, and other static entries."""
        found = super().written(at, link, view)
        entries = [one for one in view.fdb(at.netns, link.index) if not one.flags & NTF_EXT_LEARNED]
        if found.get("group"):
            found.pop("remote", None)
            entries = [one for one in entries if one.dst != found["group"]]
        floods = [one.dst for one in entries if one.mac == FLOOD and not one.port and not one.vni]
        if "remote" not in found and floods:
            found["remote"] = floods
        elif found.get("remote") in floods:
            floods = [found["remote"]]
        rest = [one for one in entries if one.mac != FLOOD or one.dst not in floods]
        if rest:
            found["fdb"] = [written_entry(one) for one in rest]
        if found.get("learning") is False and len(entries) < len(view.fdb(at.netns, link.index)):
            found = {**found, "fdb_owner": "external"}
            found.pop("learning")
        return found

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        """A namespace that is being deleted keeps the VNIs of its tunnels where these send, for a moment."""
        fields, key = desired.fields, desired.key
        if error.code != errno.EEXIST or view.link(key.netns, key.name) is not None:
            return None
        outer = fields[DEV_NAMESPACE]
        there = [self.read_options(link, outer, view) for link in view.links(outer) if link.kind == self.name]
        taken = (fields.get("vni", 0), fields["port"])
        if any((found["vni"], found["port"]) == taken and found[DEV_NAMESPACE] == outer for found in there):
            return None
        return Unusable(f"waits for VNI {taken[0]} on port {taken[1]}: a tunnel in another namespace uses it")

    def missing_ingress(self, desired: Desired, view: View) -> str:
        packets = desired.required_ingress
        return closed_text(packets, view.firewall(desired.locator[DEV_NAMESPACE])) if packets else ""

    def immutable_changes(self, differing: Mapping[str, FieldDiff]) -> Set[str]:
        return super().immutable_changes(differing) | (differing.keys() & {"family"})

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        made, *late = super().create(desired, view, memory)
        link = made.operation
        assert isinstance(link, CreateLink)
        if desired.locator["family"] == Family.IPV6 and not link.settings.info.keys() & {GROUP6, LOCAL6}:
            # Without any address it would be IPv4, and refuse entries of IPv6.
            info = {**link.settings.info, GROUP6: bytes(16)}
            made = replace(made, operation=replace(link, settings=replace(link.settings, info=info)))
        return [made, *late]
