"""Veth pairs: ``[veth.NAME]``, veth(4). A pair is one object, written at one end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import HOST, Key, LinkName
from netd.model.marks import GROUP
from netd.model.operations import CreateLink, DeleteLink, LinkSettings
from netd.model.segment import ETHERNET
from netd.model.state import Link

from .base.kind import TableContext, TomlForm
from .base.options import option
from .base.values import Name, NamespaceName
from .link.ends import (
    LinkTable,
    end_changes,
    end_default,
    end_fields,
    end_lapsed,
    end_objects,
    end_of,
    end_owned,
    end_put_back,
    end_wants,
    link_claims,
    reachable_fields,
    read_end,
)
from .link.link_kind import LinkKind, find_link
from .link.mac import remembered_mac

PEER = "peer."


class PeerTable(LinkTable):
    """The other end of the pair."""

    name: Name = option("name of the other end")
    namespace: NamespaceName | None = option(
        "namespace of the other end; the default is the host, also for a pair declared in a namespace",
        default=None,
        absent="the host",
    )


class VethTable(LinkTable):
    """One end of a pair, and the other as ``peer``."""

    peer: PeerTable = option("the other end: the keys below, and every key of a link")


def peer_of(locator: Mapping[str, Any]) -> LinkName:
    """The other end, as the object's data names it."""
    netns, name = locator["peer"]
    return LinkName(netns, name)


class VethKind(LinkKind):
    """veth/N, named after the end where it is written."""

    name = "veth"
    toml = TomlForm(VethTable)
    remembered = frozenset({"mac", "peer.mac"})
    joins = "other end"

    def declare(self, table: VethTable, context: TableContext) -> Iterable[Desired]:
        end = LinkName(context.netns, context.name)
        peer = LinkName(table.peer.namespace or HOST, table.peer.name)
        yield Desired(
            key=Key(context.netns, "veth", context.name),
            fields=end_fields(table, made=True) | end_fields(table.peer, made=True, prefix=PEER),
            origins=(context.origin,),
            locator={"peer": list(peer)},
            provides=(end, peer),
            after=end_wants(table, end.netns) + end_wants(table.peer, peer.netns),
            claims=link_claims(end, peer),
            namespaces=(peer.netns,) if peer.netns not in (HOST, end.netns) else (),
            ends=(
                end_of(table, end, peer=peer, first=ETHERNET),
                end_of(table.peer, peer, PEER, peer=end, first=ETHERNET),
            ),
        )
        yield from end_objects(table, context, end)
        yield from end_objects(table.peer, context, peer, "peer")

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        other = peer_of(locator)
        peer_key = Key(other.netns, key.kind, other.name)
        end = find_link(key, view, identity)
        known = {"cookie": identity.get("peer_cookie"), "index": identity.get("peer_index", 0)} if identity else {}
        peer = find_link(peer_key, view, known)
        if end is None and peer is None:
            return None
        victims = [(netns, link.index) for netns, link in ((key.netns, end), (other.netns, peer)) if link is not None]
        ours = [link.group == GROUP for link in (end, peer) if link is not None]
        conflict = self._conflict(key, other, end, peer, view)
        found = {
            "cookie": view.cookie(key.netns),
            "index": end.index if end else 0,
            "peer_cookie": view.cookie(other.netns),
            "peer_index": peer.index if peer else 0,
        }
        fields: dict[str, Any] = {}
        if not conflict and end is not None and peer is not None:
            fields = read_end(end, key.netns, view) | read_end(peer, other.netns, view, PEER)
        return Observed(fields=fields, identity=found, marked=all(ours), conflict=conflict, handle=victims)

    def _conflict(self, key: Key, other: LinkName, end: Link | None, peer: Link | None, view: View) -> str:
        """What exists instead of the pair, "" when the two ends belong together."""
        for link, name in ((end, LinkName(key.netns, key.name)), (peer, other)):
            if link is not None and link.kind != "veth":
                return f"a {link.kind or 'physical'} link {name}"
        if end is None:
            return f"a link {other} without its other end {LinkName(key.netns, key.name)}"
        if peer is None:
            return f"a link {LinkName(key.netns, key.name)} without its other end {other}"
        if end.link != peer.index or peer.link != end.index:
            return f"a link {key.name} and a link {other} of two different pairs"
        if not view.is_peer_namespace(key.netns, end.link_netnsid, other.netns):
            return f"a link {key.name} whose other end is in another namespace"
        return ""

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        for link in view.links(netns):
            if link.kind == self.name and link.group == GROUP:
                # The other end is deleted with this one, in any namespace.
                yield Key(netns, self.name, link.name), {"peer": [netns, link.name]}

    def with_renamed_namespaces(self, locator: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
        peer = peer_of(locator)
        return {**locator, "peer": [names.get(peer.netns, peer.netns), peer.name]}

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        peer = peer_of(desired.locator)
        return end_owned(desired.key.name, GROUP, memory) | end_owned(peer.name, GROUP, memory, PEER)

    def remember(self, desired: Desired, memory: Mapping[str, Any], key: bytes) -> Mapping[str, Any]:
        ends = {"mac": LinkName(desired.key.netns, desired.key.name), "peer.mac": peer_of(desired.locator)}
        return {
            name: remembered_mac(desired.fields.get(name), memory.get(name), end, key) for name, end in ends.items()
        }

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("link", key.netns, key.name), WatchKey("link", *peer_of(locator)))

    def reduced(self, desired: Desired, missing: Set[LinkName]) -> Mapping[str, Any]:
        fields = reachable_fields(desired.fields, missing, desired.key.netns)
        return reachable_fields(fields, missing, peer_of(desired.locator).netns, PEER)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        key, fields, peer = desired.key, desired.fields, peer_of(desired.locator)

        def settings(prefix: str) -> LinkSettings:
            mac = fields.get(prefix + "mac") or memory.get(prefix + "mac")
            return LinkSettings(mtu=fields.get(prefix + "mtu"), mac=mac, group=GROUP)

        made = CreateLink(
            key.netns, key.name, "veth", settings(""),
            peer_name=peer.name, peer_netns=peer.netns, peer=settings(PEER),
        )  # fmt: skip
        late = {name: value for name, value in fields.items() if not name.endswith(("mac", "mtu"))}
        return [
            Step(Phase.LINK, made),
            *end_changes(key.netns, key.name, late),
            *end_changes(peer.netns, peer.name, late, PEER),
        ]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        peer = peer_of(locator)
        return [
            *end_changes(key.netns, key.name, fields, "", observed.fields.get("name")),
            *end_changes(peer.netns, peer.name, fields, PEER, observed.fields.get(PEER + "name")),
        ]

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return [Step(Phase.LINK, DeleteLink(netns, index)) for netns, index in observed.handle]

    def lost_referent(
        self, key: Key, locator: Mapping[str, Any], field: str, wrote: Any, have: Any, view: View
    ) -> bool:
        netns = peer_of(locator).netns if field.startswith(PEER) else key.netns
        return end_lapsed(netns, field.removeprefix(PEER), wrote, have, view)

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        if found is None:
            return end_default(field, PEER if field.startswith(PEER) else "")
        netns = peer_of(locator).netns if field.startswith(PEER) else key.netns
        return end_put_back(netns, field.removeprefix(PEER), found, view)
