"""Links: one object with one end and options in IFLA_INFO_DATA, unless a kind says otherwise.

All that is common follows from the kind's table: what is compared, how it is read and written, what a new link has, and
what forces a recreation. A link kind without surprises is a table and a class of three lines.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from netd.errors import KernelError
from netd.kinds.base.kind import LOOPBACK, Kind, MtuLimit, TableContext, Traits, link_by_identity
from netd.kinds.base.options import fields_of
from netd.kinds.base.roles import BecomesUsable, KeepsAttributes
from netd.model.change import FieldDiff, Phase, Step
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import HOST, Key, LinkName
from netd.model.marks import GROUP
from netd.model.operations import CreateLink, DeleteLink, LinkSettings, SetLink
from netd.model.segment import ETHERNET, Joins, Links, Tunnel
from netd.model.state import Link, attributes
from netd.model.status import Unusable

from .attributes import LowerLink, decode, encode, options, recreating
from .bridge_port import PREFIX
from .carry_over import restore_steps
from .ends import (
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
from .mac import remembered_mac
from .port_state import unusable_port

#: The key of the lower link's namespace, if a kind has it: compared even if it is not declared.
DEV_NAMESPACE = "dev_namespace"
#: Shown for a namespace without a known name (names have no spaces).
UNNAMED = "a namespace without a name"
MADE_BY_NETD = Traits(has_mark=True, provides_links=True, guard_fields=frozenset({DEV_NAMESPACE}))


class LinkKind(Kind, BecomesUsable, KeepsAttributes):
    """A link; the kind's name is its rtnetlink kind too, unless ``rtnl_kinds`` says otherwise."""

    traits = MADE_BY_NETD
    #: Fields that are chosen once, and kept although they are not declared (MACs): ``remember``.
    remembered: ClassVar[frozenset[str]] = frozenset({"mac"})
    #: Which other links are in the same layer-2 segment.
    joins: ClassVar[Joins] = ""
    #: Whether other links can have it as their master.
    takes_members: ClassVar[bool] = False
    #: Whether the kernel passes all frames of its lower link to it, as it passes those of a port to a bridge.
    takes_frames: ClassVar[bool] = False
    #: The kernel module that has it; "": of the same name.
    module: ClassVar[str] = ""
    #: {key: what a kernel is built with that has it}, of keys that some kernels lack.
    optional: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: The MTU of a new one that no other link carries.
    first_mtu: ClassVar[int] = ETHERNET

    #: False: the kernel does not say in which namespace a link's packets are sent (rtnl_link_ops.get_link_net).
    tells_namespace: ClassVar[bool] = True
    #: Whether the kernel binds a link to the namespace that it is created in, so that it has to be moved to its own.
    moved: ClassVar[bool] = False

    @cached_property
    def rtnl_kinds(self) -> tuple[str, ...]:
        """What rtnetlink calls its links."""
        return (self.name,)

    def rtnl_kind(self, fields: Mapping[str, Any]) -> str:
        """What rtnetlink calls a link with these options."""
        return self.name

    def is_ethernet(self, fields: Mapping[str, Any]) -> bool:
        """Whether a link with these options has a MAC address and can be the port of a bridge."""
        return True

    @cached_property
    def table(self) -> Any:
        """The model of its table, a ``LinkTable``."""
        return self.toml.model if self.toml is not None else LinkTable

    @cached_property
    def lower(self) -> tuple[str, LowerLink] | None:
        """The option that names the link below, by its key."""
        found = ((key, each.wire) for key, each in options(self.table).items())
        return next(((key, wire) for key, wire in found if isinstance(wire, LowerLink)), None)

    def carrier(self, fields: Mapping[str, Any], netns: str) -> Tunnel | None:
        """What carries a link in ``netns`` with these options, and how many bytes its headers take; None: nothing."""
        dev = fields.get(self.lower[0]) if self.lower else None
        return Tunnel(dev, "", 0, fields.get(DEV_NAMESPACE, netns)) if dev else None

    def declare(self, table: Any, context: TableContext) -> Iterable[Desired]:
        link = LinkName(context.netns, context.name)
        chosen = self.chosen(table)
        self._check_layer(table, chosen)
        dev = chosen.get(self.lower[0]) if self.lower else None
        outer = chosen.get(DEV_NAMESPACE, context.netns)
        if DEV_NAMESPACE in options(self.table):
            chosen[DEV_NAMESPACE] = outer
        if dev == LOOPBACK:
            raise ValueError(f"{self.lower[0] if self.lower else ''}: '{LOOPBACK}' carries no other links")
        tunnel = self.carrier(chosen, context.netns)
        first = 0 if tunnel or self.joins == "ports" else self.first_mtu
        yield Desired(
            key=Key(context.netns, self.name, context.name),
            fields=end_fields(table, made=True) | chosen,
            origins=(context.origin,),
            locator={DEV_NAMESPACE: outer} if DEV_NAMESPACE in chosen else {},
            provides=(link,),
            requires=(LinkName(outer, dev),) if dev else (),
            namespaces=(outer,) if outer not in (HOST, context.netns) else (),
            after=end_wants(table, context.netns),
            claims=link_claims(link),
            ends=(end_of(table, link, tunnel=tunnel, first=first, joins=self.joins, takes_members=self.takes_members),),
        )
        yield from end_objects(table, context, link)

    def chosen(self, table: Any) -> dict[str, Any]:
        """The options that a table has, as they are compared."""
        return {key: getattr(table, key) for key in options(self.table) if getattr(table, key) is not None}

    def _check_layer(self, table: LinkTable, chosen: Mapping[str, Any]) -> None:
        for key in () if self.is_ethernet(chosen) else ("mac", "bridge_port"):
            if getattr(table, key) is not None:
                raise ValueError(f"{key}: this link carries IP packets, not Ethernet frames: it has none")

    def read_options(self, link: Link, netns: str, view: Links) -> dict[str, Any]:
        """The options of a link, as they are compared."""
        found = decode(self.table, attributes(link.info))
        outer = self.outer(link, netns, view)
        if self.lower:
            carrier = self.lower_link(link, netns, view)
            unsayable = outer != netns and (carrier is None or DEV_NAMESPACE not in found)
            elsewhere = "a link in another namespace" if unsayable and self.lower_index(link) else ""
            found[self.lower[0]] = elsewhere or (carrier.name if carrier else "")
        if DEV_NAMESPACE in found:
            found[DEV_NAMESPACE] = UNNAMED if outer is None else outer
        return found

    def written(self, at: LinkName, link: Link, view: View) -> dict[str, Any]:
        """The options of a link as a file would have them: those that a new one would not have by itself."""
        found = self.read_options(link, at.netns, view)
        key, chosen = Key(at.netns, self.name, at.name), {}
        for name, each in fields_of(self.table).items():
            value = found.get(name)
            if each.option.wire is None or value is HIDDEN or value in (None, ""):
                continue
            usual = at.netns if name == DEV_NAMESPACE else each.default
            if usual is None:
                usual = self.reverted(key, {}, name, None, view)
            if value != usual:
                chosen[name] = value
        outer = found.get(DEV_NAMESPACE)
        if outer is not None and outer != at.netns:
            chosen[DEV_NAMESPACE] = outer
        return chosen

    def outer(self, link: Link, netns: str, view: Links) -> str | None:
        """The namespace of what carries a link, and in which a tunnel's packets are sent; None: one without a name."""
        return view.namespace_of(netns, link.link_netnsid, HOST) if self.lower else netns

    def lower_link(self, link: Link, netns: str, view: Links) -> Link | None:
        """The link that carries one, in whichever namespace that is: an index means something only in its own."""
        index, outer = self.lower_index(link), self.outer(link, netns, view)
        return view.link_at(outer, index) if index and outer is not None else None

    def lower_index(self, link: Link) -> int:
        """The index of the link that carries one, 0 for none."""
        if not self.lower:
            return 0
        index = int(self.lower[1].decode(attributes(link.info)))
        if self.lower[1].number and link.link_netnsid is not None:
            # The kernel puts the link's own index into IFLA_LINK then.
            return index
        return index or link.link

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        link = find_link(key, view, identity)
        if link is None:
            return None
        found = {"cookie": view.cookie(key.netns), "index": link.index}
        if link.kind not in self.rtnl_kinds:
            what = f"a {link.kind} link of this name" if link.kind else "a physical link of this name"
            return Observed(fields={}, identity=found, marked=link.group == GROUP, conflict=what, handle=link.index)
        fields = read_end(link, key.netns, view) | self.read_options(link, key.netns, view)
        declared = locator.get(DEV_NAMESPACE, key.netns)
        if DEV_NAMESPACE in fields and view.is_peer_namespace(key.netns, link.link_netnsid, declared):
            # A namespace can have several names.
            fields[DEV_NAMESPACE] = declared
        return Observed(fields=fields, identity=found, marked=link.group == GROUP, handle=link.index)

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        for link in view.links(netns):
            if link.kind in self.rtnl_kinds and link.group == GROUP:
                yield Key(netns, self.name, link.name), {}

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("link", key.netns, key.name),)

    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        """Undeclared fields that are kept on a link that netd created: its mark, its name."""
        return end_owned(desired.key.name, GROUP, memory)

    def unusable(self, desired: Desired, observed: Observed, view: View) -> Unusable | None:
        return unusable_port(desired.ends, view)

    def remember(self, desired: Desired, memory: Mapping[str, Any], key: bytes) -> Mapping[str, Any]:
        """The values that are chosen once and kept (MACs), before the link is created for the first time.

        ``key`` is this machine's own, the same after a reboot; b"" where there is none.
        """
        if not self.is_ethernet(desired.fields):
            return {}
        link = LinkName(desired.key.netns, desired.key.name)
        return {"mac": remembered_mac(desired.fields.get("mac"), memory.get("mac"), link, key)}

    def reduced(self, desired: Desired, missing: Set[LinkName]) -> Mapping[str, Any]:
        """The fields that are possible while these links of ``after`` do not exist."""
        return reachable_fields(desired.fields, missing, desired.key.netns)

    def immutable_changes(self, differing: Mapping[str, FieldDiff]) -> Set[str]:
        """Those of these fields that cannot be changed in place."""
        return recreating(self.table, differing)

    def lost_referent(
        self, key: Key, locator: Mapping[str, Any], field: str, wrote: Any, have: Any, view: View
    ) -> bool:
        """Whether a value differs from what netd wrote only because the object that it named was deleted."""
        return end_lapsed(key.netns, field, wrote, have, view)

    def must_leave_namespace(self, locator: Mapping[str, Any]) -> bool:
        """Whether it has to leave its namespace before that is deleted, because it would be deleted with it."""
        return False

    def with_renamed_namespaces(self, locator: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
        """``locator`` with the new ``names`` of the namespaces in it."""
        outer = locator.get(DEV_NAMESPACE)
        return {**locator, DEV_NAMESPACE: names.get(outer, outer)} if outer is not None else locator

    def flooded_to(self, link: LinkName, index: int, view: View) -> Sequence[str]:
        """Where a link of this kind sends packets for unknown receivers, as its forwarding database says."""
        return ()

    def refused_over(self, one: Desired, lower: Desired) -> str:
        """Why the kernel never creates ``one`` on the declared link ``lower``: "KEY: what is wrong"; "" if it does."""
        if one.key.kind == lower.key.kind and self.takes_frames:
            dev = lower.fields[self.lower[0]] if self.lower else ""
            return f"dev: {lower.key} is a {self.name} itself: write its own dev, '{dev}'"
        return ""

    def refusal(self, error: KernelError, fields: Collection[str]) -> str:
        """What the kernel's refusal to create it, or to change these fields, means for an operator."""
        if error.code == errno.EOPNOTSUPP and error.text.startswith("Unknown device type"):
            module = self.module or self.name
            return f"this kernel has no {self.name} links: they need its module {module} (modprobe {module})"
        lacking = [f"{key} ({self.optional[key]})" for key in fields if key in self.optional]
        if error.code == errno.EOPNOTSUPP and not error.text and lacking:
            return f"the kernel refused: {error}: it is built without {' or '.join(lacking)}"
        return f"the kernel refused: {error}"

    def missing_ingress(self, desired: Desired, view: View) -> str:
        """Why packets of its ``required_ingress`` may be dropped; "" if none are."""
        return ""

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        key, fields = desired.key, desired.fields
        outer = fields.get(DEV_NAMESPACE, key.netns)
        settings = LinkSettings(
            mtu=fields.get("mtu"), mac=fields.get("mac") or memory.get("mac"), group=GROUP,
            info=encode(self.table, fields), netns=key.netns if outer != key.netns else None,
        )  # fmt: skip
        dev, number = (fields.get(self.lower[0], ""), self.lower[1].number) if self.lower else ("", 0)
        made = CreateLink(
            outer, key.name, self.rtnl_kind(fields), settings, dev=dev, dev_option=number,
            moved=self.moved and outer != key.netns,
        )  # fmt: skip
        late = {name: value for name, value in fields.items() if name in ("up", "master") or name.startswith(PREFIX)}
        return [Step(Phase.LINK, made), *end_changes(key.netns, key.name, late)]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        steps = list(end_changes(key.netns, key.name, fields, current=observed.fields.get("name")))
        info = encode(self.table, fields, observed.fields)
        if info:
            settings = SetLink(key.netns, key.name, LinkSettings(info=info), self.rtnl_kind(observed.fields))
            steps.append(Step(Phase.SETTINGS, settings))
        return steps

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        elsewhere = observed.fields.get(DEV_NAMESPACE, key.netns) != key.netns
        return [Step(Phase.LINK, DeleteLink(key.netns, int(observed.handle), elsewhere))]

    def restore(self, key: Key, locator: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        return tuple(restore_steps(foreign, view))

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        if found is not None:
            return end_put_back(key.netns, field, found, view)
        if field == "mtu":
            return self._mtu_at_birth(key, view)
        option = options(self.table).get(field)
        return option.wire.default if option is not None and option.wire is not None else end_default(field)

    def _mtu_at_birth(self, key: Key, view: View) -> int | MtuLimit | None:
        """The MTU of a new link: that of its carrier without the headers."""
        link = view.link(key.netns, key.name)
        if link is None:
            return None
        carrier = self.lower_link(link, key.netns, view)
        tunnel = self.carrier(self.read_options(link, key.netns, view), key.netns)
        if carrier is None and not self.lower_index(link):
            return ETHERNET - (tunnel.overhead or 0) if tunnel is not None and tunnel.by_route else self.first_mtu
        if carrier is None:
            return None
        outer = tunnel.netns if tunnel else key.netns
        return MtuLimit(LinkName(outer, carrier.name), tunnel.overhead or 0 if tunnel else 0)


def find_link(key: Key, view: View, identity: Mapping[str, Any]) -> Link | None:
    """The link by its name, else netd's own by its index (it was renamed)."""
    link = view.link(key.netns, key.name)
    if link is not None:
        return link
    link = link_by_identity(LinkName(key.netns, key.name), identity, view)
    return link if link is not None and link.group == GROUP else None
