"""Named network namespaces: ``[namespace.NAME]``, ip-netns(8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

from netd.model.attach import CONTAINER, RUNTIMES
from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import HOST, Key
from netd.model.operations import (
    AttachNamespace,
    CreateNamespace,
    DeleteNamespace,
    DetachNamespace,
    LinkSettings,
    SetLink,
    WriteSysctl,
)

from .base.kind import LOOPBACK, Kind, TableContext, TomlForm, Traits
from .base.options import Table, option
from .base.values import Form, UnicastAddress, not_empty
from .etc import hosts_file, resolv_file

DISABLE_IPV6 = "net/ipv6/conf/all/disable_ipv6"


def namespace_source(text: str) -> str:
    """Where a foreign namespace is found: an absolute path, "pid:N", or a container by its engine and name."""
    if re.fullmatch(r"pid:[1-9][0-9]{0,9}", text):
        return text
    if text.startswith("/") and "\0" not in text:
        return text
    engine, colon, name = text.partition(":")
    if colon and engine in RUNTIMES:
        if CONTAINER.fullmatch(text):
            return text
        raise ValueError(f"'{name}' is not the name of a container: letters and digits, then also '_', '.', '-'")
    raise ValueError(f'\'{text}\' is neither an absolute path nor "pid:N", "docker:NAME" or "podman:NAME"')


class NamespaceTable(Table):
    """A namespace, with everything in it: what is allowed at the top level is allowed here."""

    ipv6: bool | None = option(
        "`false` disables IPv6 in the namespace before any link is created; "
        "`true` enables it in a namespace where another tool disabled it",
        default=None,
    )
    attach: Annotated[str, Form(namespace_source)] | None = option(
        "gives the name to a namespace that another tool creates: "
        '`"/path"`, `"pid:N"`, `"docker:NAME"` or `"podman:NAME"`',
        default=None,
    )
    hosts: bool = option(
        "`true` writes `/etc/netns/NAME/hosts` with the names and addresses of all namespaces in the files",
        default=False,
    )
    dns: Annotated[list[UnicastAddress], Form(not_empty)] | None = option(
        "name servers, written to `/etc/netns/NAME/resolv.conf`", default=None
    )


class NamespaceKind(Kind):
    """namespace/N."""

    name = "namespace"
    toml = TomlForm(NamespaceTable, "container")
    traits = Traits(guard_fields=frozenset({"loopback", "attached"}))

    def declare(self, table: NamespaceTable, context: TableContext) -> Iterable[Desired]:
        fields: dict[str, Any] = {}
        if table.ipv6 is not None:
            fields["ipv6"] = table.ipv6
        if table.attach is not None:
            fields["attached"] = True
        else:
            fields["loopback"] = True
        yield Desired(
            key=Key(HOST, "namespace", context.name),
            fields=fields,
            origins=(context.origin,),
            locator={"attach": table.attach or ""},
            source=table.attach or "",
        )
        if table.hosts:
            yield hosts_file(context)
        if table.dns is not None:
            yield resolv_file(context, table.dns)

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        """A namespace has one name: with two names, each would overwrite the other's address translation."""
        known: dict[str, Desired] = {}
        for one in desired:
            other = known.setdefault(one.source, one) if one.source else one
            if other is not one:
                yield one, other, f"attach: '{one.source}' already has a name, '{other.key.name}'"

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        cookie = view.cookie(key.name)
        mine = int(identity.get("cookie") or 0)
        source = {"attach": locator["attach"]} if locator["attach"] else {}
        borrowed = source or identity.get("attach")
        entry = view.entry(key.name) if borrowed else None
        attached = view.attached(key.name) if borrowed else False
        # netd's own entry, for a namespace that is no longer declared: if its owner ended it, the entry would keep it
        # alive, and if netd has to create its own one, objects must not be created in the old one.
        astray = attached is False or (attached is None and cookie != mine)
        # And if it was deleted: netd's link to one of its processes leads to any process that has this number now.
        leads_astray = cookie is None and attached is False and mine > 0
        if entry is not None and astray and (entry in (mine, 0) or leads_astray):
            return Observed(fields={}, identity={"cookie": mine} | source, residue="its name")
        if cookie is None:
            return None
        fields: dict[str, Any] = {"ipv6": view.sysctl(key.name, DISABLE_IPV6) == "0"}
        loopback = view.link(key.name, LOOPBACK)
        fields["loopback"] = loopback is not None and loopback.up
        conflict = ""
        if source:
            fields["attached"] = attached
            conflict = "another namespace of this name" if attached is None else ""
        return Observed(fields=fields, identity={"cookie": cookie} | source, conflict=conflict)

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (
            WatchKey("namespace", key.name),
            WatchKey("sysctl", key.name, DISABLE_IPV6),
            WatchKey("link", key.name, LOOPBACK),
        )

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        if "attach" not in locator:
            raise KeyError("attach")  # an old record: its owner is not known

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        made = CreateNamespace(desired.key.name, desired.fields.get("ipv6", True))
        return [Step(Phase.NAMESPACE, made)]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        if observed.residue:
            return [Step(Phase.NAMESPACE, DetachNamespace(key.name, int(observed.identity["cookie"])))]
        steps = []
        if "ipv6" in fields:
            value = "0" if fields["ipv6"] else "1"
            steps.append(Step(Phase.SYSCTL, WriteSysctl(key.name, DISABLE_IPV6, value)))
        if "loopback" in fields:
            steps.append(Step(Phase.UP, SetLink(key.name, LOOPBACK, LinkSettings(up=fields["loopback"]))))
        if fields.get("attached") is True:
            steps.append(Step(Phase.NAMESPACE, AttachNamespace(key.name)))
        elif fields.get("attached") is False:
            steps.append(Step(Phase.NAMESPACE, DetachNamespace(key.name, int(observed.identity["cookie"]))))
        return steps

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return [Step(Phase.NAMESPACE, DeleteNamespace(key.name, int(observed.identity["cookie"])))]

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        return {"ipv6": True}.get(field) if found is None else found
