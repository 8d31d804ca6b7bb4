"""The primary member of a bond: ``primary`` of ``[bond.NAME]``. The kernel has it only while that link is a member."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.operations import LinkSettings, SetLink
from netd.model.state import attributes

from .base.kind import Kind, link_identity
from .link.attributes import LowerLink

#: IFLA_BOND_PRIMARY, include/uapi/linux/if_link.h.
PRIMARY = LowerLink(11)
BOND = "bond"


def primary_object(bond: LinkName, member: str, origin: Origin) -> Desired:
    """The primary member of a declared bond."""
    return Desired(
        Key(bond.netns, "bond_primary", bond.name),
        {"member": member},
        (origin,),
        locator={"member": member},
        requires=(bond, LinkName(bond.netns, member)),
    )


class BondPrimaryKind(Kind):
    """bond_primary/BOND."""

    name = "bond_primary"

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        bond = view.link(key.netns, key.name)
        index = PRIMARY.decode(attributes(bond.info)) if bond is not None else 0
        member = view.link_at(key.netns, index) if index else None
        if bond is None or member is None:
            return None
        return Observed({"member": member.name}, {"cookie": view.cookie(key.netns), "index": bond.index})

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return link_identity(LinkName(key.netns, key.name), view)

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("link", key.netns, key.name), WatchKey("link", key.netns, locator["member"]))

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return [self._write(desired.key, desired.locator["member"])]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        return [self._write(key, fields["member"])]

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        return [self._write(key, "")]

    def _write(self, key: Key, member: str) -> Step:
        # By then the link is a member, if that is declared.
        if not member:
            return Step(Phase.UP, SetLink(key.netns, key.name, LinkSettings(info={PRIMARY.number: bytes(4)}), BOND))
        link = LinkName(key.netns, member)
        return Step(Phase.UP, SetLink(key.netns, key.name, LinkSettings(), BOND, dev=link, dev_option=PRIMARY.number))
