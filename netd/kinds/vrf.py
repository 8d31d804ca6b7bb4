"""Virtual routers: ``[vrf.NAME]``, ip-link(8) "vrf", and Documentation/networking/vrf.rst of Linux."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from netd.model.desired import Desired
from netd.model.state import Link, attributes

from .base.kind import TableContext, TomlForm
from .base.options import option
from .base.roles import RoutesMembers
from .base.values import Range
from .link.attributes import Number
from .link.ends import LinkTable
from .link.link_kind import LinkKind

#: IFLA_VRF_TABLE, include/uapi/linux/if_link.h.
TABLE = Number(1)


class VrfTable(LinkTable):
    """A virtual router: links that have it as their `master` are routed by its table."""

    table: Annotated[int, Range(1, 2**32 - 1)] = option("routing table of its members", wire=TABLE, live=False)

    def check(self) -> None:
        super().check()
        if self.master is not None:
            raise ValueError("master: a vrf cannot be in another link")


class VrfKind(LinkKind, RoutesMembers):
    """vrf/N."""

    name = "vrf"
    toml = TomlForm(VrfTable)
    takes_members = True
    #: vrf_setup(), drivers/net/vrf.c: the largest that IPv6 allows.
    first_mtu = 65575

    def declare(self, table: VrfTable, context: TableContext) -> Iterable[Desired]:
        one, *others = super().declare(table, context)
        yield replace(one, ends=(one.ends[0]._replace(table=table.table),))
        yield from others

    def member_table(self, master: Link) -> int:
        return int(TABLE.decode(attributes(master.info)) or 0)
