"""Links that netd does not create: ``[interface.NAME]``. Only declared fields are maintained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import HOST, Key, LinkName
from netd.model.marks import GROUP
from netd.model.operations import LinkSettings, RestorePort, SetLink
from netd.model.state import Link

from .base.kind import TableContext, TomlForm, Traits, link_by_identity
from .base.options import option
from .link.bridge_port import PORT_DEFAULTS, PREFIX, port_payload
from .link.ends import (
    LinkTable,
    end_changes,
    end_default,
    end_fields,
    end_objects,
    end_of,
    end_put_back,
    end_wants,
    read_end,
)
from .link.link_kind import LinkKind


class InterfaceTable(LinkTable):
    """A physical port, ``lo``, or another tool's link."""

    made: ClassVar[bool] = False

    from_host: bool = option(
        "moves the link from the host into this namespace, and back when the key or the file is removed", default=False
    )


class InterfaceKind(LinkKind):
    """interface/N."""

    name = "interface"
    toml = TomlForm(InterfaceTable)
    traits = Traits(is_foreign=True, placement_fields=frozenset({"from_host"}))

    def declare(self, table: InterfaceTable, context: TableContext) -> Iterable[Desired]:
        link = LinkName(context.netns, context.name)
        if table.from_host and context.netns == HOST:
            raise ValueError("from_host: this table is in the host's namespace: the key is only for another namespace")
        fields = end_fields(table, made=False)
        if table.from_host:
            fields["from_host"] = True
        yield Desired(
            key=Key(context.netns, "interface", context.name),
            fields=fields,
            origins=(context.origin,),
            locator={"from_host": table.from_host},
            provides=(link,),
            after=end_wants(table, context.netns),
            ends=(end_of(table, link, foreign=True),),
        )
        yield from end_objects(table, context, link)

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        link, outside = self._find(key, locator, identity, view)
        if link is not None:
            fields = read_end(link, key.netns, view) | {"from_host": True}
            found = {"cookie": view.cookie(key.netns), "index": link.index}
            return Observed(fields=fields, identity=found, renamed_away=link.name != key.name, handle=link.name)
        if outside is not None and view.exists(key.netns):
            found = {"cookie": view.cookie(key.netns), "index": outside.index}
            fields = read_end(outside, HOST, view)
            return Observed(fields | {"from_host": _as_lent(fields)}, found, handle=outside.name)
        return None

    def _find(
        self, key: Key, locator: Mapping[str, Any], identity: Mapping[str, Any], view: View
    ) -> tuple[Link | None, Link | None]:
        """The link in its namespace, or with ``from_host`` the one on the host."""
        here = LinkName(key.netns, key.name)
        if not locator.get("from_host"):
            return link_by_identity(here, identity, view), None
        # On the host it may have another index: that is used only if no link has its name.
        link, outside = view.link(*here), view.link(HOST, key.name)
        if link is None and outside is None:
            link = link_by_identity(here, identity, view)
            link = None if link is not None and link.group == GROUP else link
        return link, outside

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        here = WatchKey("link", key.netns, key.name)
        return (here, WatchKey("link", HOST, key.name)) if locator["from_host"] else (here,)

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        name: str = observed.handle
        if fields.get("from_host") is True:
            # The rest follows in the next evaluation: in the namespace it is another link.
            return [Step(Phase.LINK, SetLink(HOST, name, LinkSettings(netns=key.netns)))]
        if "from_host" in fields:
            # All in one phase: it is restored before it moves, and moves before its namespace is deleted.
            plain = {field: value for field, value in fields.items() if field != "from_host"}
            order = [step.operation for step in end_changes(key.netns, name, plain)]
            return [Step(Phase.SYSCTL, each) for each in order] + _back(key.netns, name, fields["from_host"] or {})
        return list(end_changes(key.netns, name, fields))

    def must_leave_namespace(self, locator: Mapping[str, Any]) -> bool:
        return bool(locator.get("from_host"))

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        if found is None:
            # It was no port when it was found, so it had none of these settings.
            return end_default(field) if field.startswith(PREFIX) else None
        if field == "from_host" and found and "master" in found and view.link(HOST, found["master"]) is None:
            return {"up": True} if "up" in found else False
        return end_put_back(key.netns, field, found, view)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return ()

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return ()


def _as_lent(outside: Mapping[str, Any]) -> Any:
    """``from_host`` of a port that is on the host, by its fields: False, or, where it is in use, how."""
    used = {name: value for name, value in outside.items() if name in ("up", "master") and value}
    if "master" in used:
        settings = {name: outside.get(PREFIX + name) for name in PORT_DEFAULTS}
        used |= {PREFIX + name: value for name, value in settings.items() if value != PORT_DEFAULTS.get(name)}
    return used or False


def _back(netns: str, name: str, used: Mapping[str, Any]) -> list[Step]:
    """Moves it back to the host with its former values: in one message, in case this process is killed."""
    settings = LinkSettings(netns=HOST, up=used.get("up"), master=used.get("master"))
    steps = [Step(Phase.SYSCTL, SetLink(netns, name, settings))]
    port = port_payload(used)
    return steps + ([Step(Phase.SETTINGS, RestorePort(HOST, name, used["master"], port))] if port else [])
