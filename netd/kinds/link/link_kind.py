"""Links that are one object with one end: what bridge and vxlan have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, ClassVar

from netd.kinds.base.kind import Kind, link_by_identity
from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.marks import GROUP
from netd.model.operations import DeleteLink, LinkSettings, SetLink
from netd.model.state import Link
from netd.model.status import Unusable

from .bridge_port import unusable_port
from .ends import end_changes, end_lapsed, end_owned, end_put_back, reachable_fields, read_end
from .mac import remembered_mac


def find_link(key: Key, view: View, identity: Mapping[str, Any]) -> Link | None:
    """The link by its name, else netd's own by its index: it was renamed."""
    link = view.link(key.netns, key.name)
    if link is not None:
        return link
    link = link_by_identity(LinkName(key.netns, key.name), identity, view)
    return link if link is not None and link.group == GROUP else None


class LinkKind(Kind):
    """A link of kind ``name`` (its rtnetlink kind too) with options in IFLA_INFO_DATA."""

    mark: ClassVar[int] = GROUP
    has_mark = True
    provides_links = True
    remembered = frozenset({"mac"})

    def read_options(self, info: bytes, link_index: int, netns: str, view: View) -> dict[str, Any]:
        """The options of IFLA_INFO_DATA; ``link_index`` is IFLA_LINK."""
        raise NotImplementedError

    def options_payload(self, fields: Mapping[str, Any]) -> dict[int, bytes]:
        """IFLA_INFO_DATA of the options in ``fields``."""
        raise NotImplementedError

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        link = find_link(key, view, identity)
        if link is None:
            return None
        found = {"cookie": view.cookie(key.netns), "index": link.index}
        if link.kind != self.name:
            what = f"a {link.kind} link of this name" if link.kind else "a link of this name that is no virtual one"
            return Observed(fields={}, identity=found, marked=link.group == GROUP, conflict=what, handle=link.index)
        fields = read_end(link, key.netns, view) | self.read_options(link.info, link.link, key.netns, view)
        return Observed(fields=fields, identity=found, marked=link.group == GROUP, handle=link.index)

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        for link in view.links(netns):
            if link.kind == self.name and link.group == GROUP:
                yield Key(netns, self.name, link.name), {}

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        return end_owned(desired.key.name, GROUP, memory)

    def unusable(self, desired: Desired, observed: Observed, view: View) -> Unusable | None:
        return unusable_port(desired.ends, view)

    def remember(self, desired: Desired, memory: Mapping[str, Any], key: bytes) -> Mapping[str, Any]:
        link = LinkName(desired.key.netns, desired.key.name)
        return {"mac": remembered_mac(desired.fields.get("mac"), memory.get("mac"), link, key)}

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("link", key.netns, key.name),)

    def reduced(self, desired: Desired, missing: Set[LinkName]) -> Mapping[str, Any]:
        return reachable_fields(desired.fields, missing, desired.key.netns)

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        steps = list(end_changes(key.netns, key.name, fields, current=observed.fields.get("name")))
        info = self.options_payload(fields)
        if info:
            settings = SetLink(key.netns, key.name, LinkSettings(info=info), self.name)
            steps.append(Step(Phase.SETTINGS, settings))
        return steps

    def lost_referent(
        self, key: Key, locator: Mapping[str, Any], field: str, wrote: Any, have: Any, view: View
    ) -> bool:
        return end_lapsed(key.netns, field, wrote, have, view)

    def put_back(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        return end_put_back(key.netns, field, found, view)

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return [Step(Phase.LINK, DeleteLink(key.netns, int(observed.handle)))]
