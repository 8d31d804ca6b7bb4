"""Entries of a vxlan's forwarding database: ``remote`` and ``fdb`` of a vxlan, bridge(8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.operations import DeleteFdb, PutFdb
from netd.model.state import NTF_EXT_LEARNED, FdbEntry, Link

from .base.kind import Kind, Traits, link_by_identity, link_identity
from .base.roles import NamesHosts
from .base.values import hosts_in


def fdb_object(
    link: LinkName,
    mac: str,
    dst: str,
    origin: Origin,
    *,
    port: int = 0,
    vni: int = 0,
    via: str = "",
    shared: bool = False,
    source: int = 0,
) -> Desired:
    """One static entry. ``port`` and ``vni`` 0: the vxlan's own; ``via`` "": by what the routes say.

    ``dst`` is an address, or "host:NAME". ``shared``: a control plane has entries in this table, too; all except this
    one belong to it. ``source``: of a tunnel with many VNIs, the one whose frames it is for.
    """
    entry = {"port": port, "vni": vni, "via": via}
    return Desired(
        key=Key(link.netns, "fdb", f"{link.name}/{mac}/{dst}" + (f"/{source}" if source else "")),
        fields=entry if shared else {**entry, "others": 0},
        origins=(origin,),
        locator={**entry, "shared": True} if shared else entry,
        requires=(link,),
        hosts=hosts_in([dst]),
    )


def parse_fdb_key(key: Key) -> tuple[str, str, str, int]:
    """(dev, MAC, destination, source VNI or 0)."""
    dev, mac, dst, *source = key.name.split("/")
    return dev, mac, dst, int(source[0]) if source else 0


def _identity(cookie: int | None, index: int, learned: bool) -> Mapping[str, Any]:
    """``learned``: a control plane has it now, whichever program created it."""
    return {"cookie": cookie, "index": index, "extern_learn": learned}


class FdbKind(Kind, NamesHosts):
    """fdb/DEV/MAC/DST."""

    name = "fdb"
    traits = Traits(guard_fields=frozenset({"port", "vni", "via", "others"}))

    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        dev, mac, _, source = parse_fdb_key(desired.key)
        (name,) = desired.hosts
        if name not in addresses:
            return None
        text = f"{dev}/{mac}/{addresses[name]}" + (f"/{source}" if source else "")
        return replace(desired, key=desired.key._replace(name=text), hosts=())

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        dev, mac, dst, source = parse_fdb_key(key)
        link = link_by_identity(LinkName(key.netns, dev), identity, view)
        if link is None:
            return None
        named = (mac, dst, source)
        entries = [each for each in view.fdb(key.netns, link.index) if (each.mac, each.dst, each.source) == named]
        wanted = {name: value for name, value in locator.items() if name != "shared"}
        right = [entry for entry in entries if self._fields(entry, link, key.netns, view) == wanted]
        if locator.get("shared"):
            entries = right
        if not entries:
            return None
        entry = (right or entries)[0]
        return Observed(
            # More than one to the same remote: each frame would be sent several times.
            fields={**self._fields(entry, link, key.netns, view), "others": len(entries) - 1},
            identity=_identity(view.cookie(key.netns), link.index, bool(entry.flags & NTF_EXT_LEARNED)),
            renamed_away=link.name != dev,
            handle=tuple(entries),
        )

    def _fields(self, entry: FdbEntry, link: Link, netns: str, view: View) -> dict[str, Any]:
        if link.link_netnsid is not None:
            # Its packets leave in another namespace, but the kernel expects an index of this one: it is left out.
            return {"port": entry.port, "vni": entry.vni, "via": ""}
        carrier = view.link_at(netns, entry.via) if entry.via else None
        via = carrier.name if carrier else f"index {entry.via}" if entry.via else ""
        return {"port": entry.port, "vni": entry.vni, "via": via}

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        link = link_identity(LinkName(key.netns, key.name.partition("/")[0]), view)
        return None if link is None else _identity(link["cookie"], link["index"], False)

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        dev = key.name.partition("/")[0]
        return (WatchKey("link", key.netns, dev), WatchKey("fdb", key.netns, dev))

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        self._put(key, locator)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return self._put(desired.key, desired.locator)

    def _put(self, key: Key, locator: Mapping[str, Any]) -> Sequence[Step]:
        dev, mac, dst, source = parse_fdb_key(key)
        put = PutFdb(key.netns, dev, mac, dst, locator["port"], locator["vni"], locator["via"], source)
        return [Step(Phase.NEIGHBOR, put)]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        return [*self.delete(key, locator, observed, view), *self._put(key, locator)]

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        dev, mac, dst, source = parse_fdb_key(key)
        found: Sequence[FdbEntry] = observed.handle
        return [
            Step(
                Phase.NEIGHBOR,
                DeleteFdb(key.netns, dev, mac, dst, each.port, each.vni, each.via, each.index, source),
            )
            for each in found
        ]
