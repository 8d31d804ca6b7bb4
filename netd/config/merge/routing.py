"""Routes without a table: of links that are members of a declared VRF, they are in its table."""

from __future__ import annotations

from collections.abc import Iterable

from netd.kinds import registry
from netd.kinds.base.roles import RoutesPackets
from netd.model.desired import Desired
from netd.model.key import LinkName


def with_tables(objects: Iterable[Desired]) -> list[Desired]:
    """The same objects; each of these routes has the key of its table."""
    found = list(objects)
    tables = {end.link: end.table for each in found for end in each.ends if end.table}
    members: dict[LinkName, int] = {}
    for each in found if tables else ():
        for end in each.ends:
            if end.master is not None and end.master in tables:
                members[end.link] = tables[end.master]
    return [_routed(each, members) for each in found] if members else found


def _routed(each: Desired, members: dict[LinkName, int]) -> Desired:
    table = next((members[link] for link in each.routed_on if link in members), 0)
    kind = registry()[each.key.kind]
    return kind.in_table(each, table) if table and isinstance(kind, RoutesPackets) else each
