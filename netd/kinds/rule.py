"""Policy rules: ``[[rule]]``, ip-rule(8)."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from netd.model.change import Phase, Step
from netd.model.desired import HIDDEN, Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.marks import PROTOCOL
from netd.model.operations import CreateRule, DeleteRule, RestoreRule
from netd.model.state import PolicyRule

from .base import kernel_rules
from .base.kind import Kind, TableContext, TomlForm, Traits
from .base.options import Table, option
from .base.roles import Diagnosed
from .base.values import Family, Form, Name, Network, Range, RoutingTable, family_of

FAMILIES = {"ip": int(socket.AF_INET), "ip6": int(socket.AF_INET6)}
FAMILY_NAMES = {"ipv4": "ip", "ipv6": "ip6", "inet": "ip", "inet6": "ip6", "ip": "ip", "ip6": "ip6"}


def canonical_fwmark(value: int | str) -> tuple[int, int]:
    """(mark, mask) of 0x10, 16 or "0x10/0xff"."""
    text = str(value)
    mark, slash, mask = text.partition("/")
    try:
        numbers = int(mark, 0), (int(mask, 0) if slash else 0xFFFFFFFF)
    except ValueError:
        raise ValueError(f"'{text}' is not a mark, such as 0x10 or \"0x10/0xff\"") from None
    if not all(0 <= number < 2**32 for number in numbers):
        raise ValueError(f"'{text}' does not fit into 32 bits")
    return numbers


def unless_all(network: str | None) -> str:
    """A network as the kernel keeps it: that of all addresses is none."""
    return "" if network is None or network.endswith("/0") else network


#: Of the fields of a rule, what is done with the packets that it is for.
LEADS = {"table": 0, "action": 0}


def checked_fwmark(value: int | str) -> int | str:
    """A mark as it is written."""
    canonical_fwmark(value)
    return value


FirewallMark = Annotated[int | str, Form(checked_fwmark, 'integer, or `"MARK/MASK"`')]
FamilyWord = Annotated[Literal["ip", "ip6", "ipv4", "ipv6", "inet", "inet6"], Form(str, '`"ipv4"` or `"ipv6"`')]


class RuleTable(Table):
    """One policy rule."""

    priority: Annotated[int, Range(1, 2**32 - 1)] = option(
        "priority, unique for each family; the kernel evaluates the lowest first"
    )
    source: Network | None = option("source network", default=None, key="from")
    to: Network | None = option("destination network", default=None)
    iif: Name | None = option("incoming link", default=None)
    oif: Name | None = option("outgoing link", default=None)
    fwmark: FirewallMark | None = option("firewall mark", default=None)
    table: RoutingTable = option("routing table to look up", default=254, absent='`"main"`')
    family: FamilyWord | None = option(
        'address family; `"ip"`, `"inet"`, `"ip6"` and `"inet6"` also work',
        default=None,
        absent="from the addresses, or else IPv4",
    )

    def check(self) -> None:
        addresses = [address for address in (self.source, self.to) if address]
        families = {family_of(address) for address in addresses}
        if self.family is not None:
            families.add(Family.IPV4 if FAMILY_NAMES[self.family] == "ip" else Family.IPV6)
        if len(families) > 1:
            raise ValueError("family: the rule's addresses and its family are not all IPv4 or all IPv6")

    @property
    def family_name(self) -> str:
        """ "ip" or "ip6": as written, else of its addresses, else IPv4."""
        if self.family is not None:
            return FAMILY_NAMES[self.family]
        address = self.source or self.to
        return "ip6" if address and family_of(address) == 6 else "ip"


class RuleKind(Kind, Diagnosed):
    """rule/FAMILY/PRIORITY."""

    name = "rule"
    toml = TomlForm(RuleTable, "array")
    traits = Traits(has_mark=True, guard_fields=frozenset({"action", "fwmask", "others", "kernel_rules"}))

    def declare(self, table: RuleTable, context: TableContext) -> Iterable[Desired]:
        mark, mask = canonical_fwmark(table.fwmark) if table.fwmark is not None else (0, 0)
        fields = {
            "from": unless_all(table.source),
            "to": unless_all(table.to),
            "iif": table.iif or "",
            "oif": table.oif or "",
            "fwmark": mark,
            "fwmask": mask,
            "table": table.table,
            "action": 1,
        }
        named = [
            (LinkName(context.netns, dev), context.at(end))
            for end, dev in (("iif", table.iif), ("oif", table.oif))
            if dev
        ]
        yield Desired(
            key=Key(context.netns, "rule", f"{table.family_name}/{table.priority}"),
            fields={**fields, "others": 0, "kernel_rules": True},
            origins=(context.origin,),
            locator=fields,
            references=tuple(named),
        )

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        rules = self._alike(key, view)
        if not rules:
            return None
        equal = next((rule for rule in rules if self._fields(rule) == dict(locator) and not rule.other), None)
        chosen = equal or next((rule for rule in rules if rule.protocol == PROTOCOL), rules[0])
        # A former one of netd's that could not be deleted when the rule changed.
        others = [rule for rule in rules if rule.protocol == PROTOCOL and rule is not chosen]
        conflict, rivals = "", []
        if equal is None and chosen.protocol != PROTOCOL:
            conflict = "another rule of this priority"
            rivals = self._rivals(locator, rules)
        return Observed(
            fields={
                **self._fields(chosen),
                "others": len(others),
                "kernel_rules": not self._lost(key, view) if kernel_rules.are_kept(key.netns, view) else HIDDEN,
            },
            identity={"cookie": view.cookie(key.netns)},
            marked=chosen.protocol == PROTOCOL,
            conflict=conflict,
            displaced=tuple(rule.raw.hex() for rule in rivals),
            handle=(*([] if conflict else [chosen]), *others),
        )

    def _lost(self, key: Key, view: View) -> list[tuple[int, int]]:
        return kernel_rules.lost(key.netns, FAMILIES[key.name.partition("/")[0]], view)

    def _kernels(self, key: Key, view: View) -> list[Step]:
        """The deleted default rules of the kernel, in namespaces where netd restores them."""
        if not kernel_rules.are_kept(key.netns, view):
            return []
        family = FAMILIES[key.name.partition("/")[0]]
        raws = [kernel_rules.message(family, *rule) for rule in self._lost(key, view)]
        return [Step(Phase.RULE, RestoreRule(key.netns, raw)) for raw in raws]

    def diagnosis(self, desired: Desired, view: View) -> str:
        return kernel_rules.warning(self._lost(desired.key, view))

    def _alike(self, key: Key, view: View) -> Sequence[PolicyRule]:
        """All of its family and priority."""
        family, _, priority = key.name.partition("/")
        return view.rules(key.netns, FAMILIES[family], int(priority))

    def _rivals(self, locator: Mapping[str, Any], rules: Sequence[PolicyRule]) -> list[PolicyRule]:
        """If no rule is as declared: foreign rules for the same packets. All others can exist next to netd's."""
        theirs = [rule for rule in rules if rule.protocol != PROTOCOL and not rule.other]
        return [rule for rule in theirs if {**self._fields(rule), **LEADS} == {**locator, **LEADS}]

    def _fields(self, rule: PolicyRule) -> dict[str, Any]:
        return {
            "from": rule.source,
            "to": rule.to,
            "iif": rule.iif,
            "oif": rule.oif,
            "fwmark": rule.fwmark,
            "fwmask": rule.fwmask,
            "table": rule.table,
            "action": rule.action,
        }

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        names = {number: name for name, number in FAMILIES.items()}
        for rule in view.all_rules(netns):
            if rule.protocol == PROTOCOL and rule.family in names:
                yield Key(netns, "rule", f"{names[rule.family]}/{rule.priority}"), self._fields(rule)

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return {"cookie": view.cookie(key.netns)}

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("rules", key.netns),)

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        self._operation(key, locator)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        # Displaced only if it replaced netd's own rule; else it is a conflict.
        rivals = self._rivals(desired.locator, self._alike(desired.key, view))
        made = Step(Phase.RULE, self._operation(desired.key, desired.locator))
        return [*self._deletions(desired.key, rivals), made, *self._kernels(desired.key, view)]

    def _operation(self, key: Key, locator: Mapping[str, Any]) -> CreateRule:
        family, _, priority = key.name.partition("/")
        rule = PolicyRule(
            family=FAMILIES[family],
            priority=int(priority),
            table=locator["table"],
            source=locator["from"],
            to=locator["to"],
            iif=locator["iif"],
            oif=locator["oif"],
            fwmark=locator["fwmark"],
            fwmask=locator["fwmask"],
            protocol=PROTOCOL,
        )
        return CreateRule(key.netns, rule)

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        if set(fields) <= {"others", "kernel_rules"}:
            return [*self._deletions(key, observed.handle[1:]), *self._kernels(key, view)]
        return [
            *self._kernels(key, view),
            *self._deletions(key, observed.handle),
            Step(Phase.RULE, self._operation(key, locator)),
        ]

    def _deletions(self, key: Key, rules: Sequence[PolicyRule]) -> list[Step]:
        return [Step(Phase.RULE, DeleteRule(key.netns, rule)) for rule in rules]

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        steps = self._deletions(key, observed.handle)
        # A rule that does the same as a default rule may be its only replacement.
        needed = {(rule.family, rule.priority, rule.table) for rule in observed.handle if kernel_rules.is_kernels(rule)}
        return [*steps, *(Step(Phase.RULE, RestoreRule(key.netns, kernel_rules.message(*rule))) for rule in needed)]

    def restore(self, key: Key, locator: Mapping[str, Any], foreign: Sequence[str], view: View) -> Sequence[Step]:
        return [Step(Phase.RULE, RestoreRule(key.netns, bytes.fromhex(raw))) for raw in foreign]
