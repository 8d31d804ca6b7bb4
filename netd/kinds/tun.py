"""TUN and TAP devices, which a process attaches to: ``[tun.NAME]``, ip-tuntap(8)."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key
from netd.model.operations import CreateLink, LinkSettings, SetLink
from netd.model.segment import Links
from netd.model.state import Link, attributes

from .base.kind import TomlForm
from .base.options import option
from .base.values import Form, Range
from .link.attributes import Flag, Number, Word, encode
from .link.ends import LinkTable, end_changes
from .link.link_kind import DEV_NAMESPACE, MADE_BY_NETD, LinkKind

#: IFLA_TUN_*, include/uapi/linux/if_link.h.
OWNER, GROUP, TYPE, PERSIST, MULTI_QUEUE = 1, 2, 3, 6, 7
#: IFF_TUN and IFF_TAP, include/uapi/linux/if_tun.h.
MODES = {"tun": 1, "tap": 2}
#: The field that says that the device stays without a process: not in the table, because it always does.
STAYS = "persistent"
PERSISTENT = Flag(PERSIST, default=True)


def numbered(what: str, number_of: Callable[[str], int]) -> Callable[[int | str], int]:
    """The number of a user or a group, by this machine's databases."""

    def number(value: int | str) -> int:
        if isinstance(value, int):
            return value
        if value.isdigit() and int(value) < 2**32 - 1:
            return int(value)
        try:
            return number_of(value)
        except (KeyError, ValueError):
            raise ValueError(f"this machine has no {what} '{value}'") from None

    return number


@dataclass(frozen=True, eq=False)
class Id(Number):
    """A user or a group; "" for none, which the kernel does not send."""

    default: Any = ""

    def encode(self, value: Any, have: Any = None) -> Mapping[int, bytes]:
        return {} if value == "" else super().encode(value, have)

    def decode(self, raw: Mapping[int, bytes]) -> Any:
        found = super().decode(raw)
        return "" if found is None else found


def is_some(want: Any, have: Any) -> bool:
    """TUNSETOWNER and TUNSETGROUP set one, and never none again."""
    return bool(want != "")


Number31 = Annotated[int, Range(0, 2**32 - 2)]
User = Annotated[Number31 | str, Form(numbered("user", lambda name: pwd.getpwnam(name).pw_uid), "user, name or number")]
Group = Annotated[
    Number31 | str, Form(numbered("group", lambda name: grp.getgrnam(name).gr_gid), "group, name or number")
]


class TunTable(LinkTable):
    """A device of which a process sends and receives the frames (`tap`) or packets (`tun`). It stays without one."""

    mode: Literal["tap", "tun"] = option(
        "Ethernet frames, or IP packets", default="tap", wire=Word(TYPE, MODES, "=B", default="tap"), live=False
    )
    owner: User | None = option("the user who may attach to it", default=None, wire=Id(OWNER), live=is_some)
    group: Group | None = option("the group that may attach to it", default=None, wire=Id(GROUP), live=is_some)
    multi_queue: bool | None = option(
        "several queues, for several threads", default=None, wire=Flag(MULTI_QUEUE, default=False), live=False
    )


class TunKind(LinkKind):
    """tun/N."""

    name = "tun"
    toml = TomlForm(TunTable)
    traits = MADE_BY_NETD._replace(guard_fields=frozenset({DEV_NAMESPACE, STAYS}))

    def is_ethernet(self, fields: Mapping[str, Any]) -> bool:
        return fields.get("mode") == "tap"

    def chosen(self, table: TunTable) -> dict[str, Any]:
        return super().chosen(table) | {STAYS: True}

    def read_options(self, link: Link, netns: str, view: Links) -> dict[str, Any]:
        return super().read_options(link, netns, view) | {STAYS: PERSISTENT.decode(attributes(link.info))}

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        made, *late = super().create(desired, view, memory)
        link = made.operation
        assert isinstance(link, CreateLink)
        settings = replace(link.settings, info={**link.settings.info, **PERSISTENT.encode(True)})
        return [replace(made, operation=replace(link, settings=settings)), *late]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        ends = end_changes(key.netns, key.name, fields, current=observed.fields.get("name"))
        stays = PERSISTENT.encode(fields[STAYS]) if STAYS in fields else {}
        info = {**encode(TunTable, fields), **stays}
        changed = SetLink(key.netns, key.name, LinkSettings(info=info), self.name)
        return [*ends, *([Step(Phase.SETTINGS, changed)] if info else [])]
