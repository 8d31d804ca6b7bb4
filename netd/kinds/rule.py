"""Policy rules: ``[[rule]]``, ip-rule(8)."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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
from .base.roles import Diagnosed, Distinguished
from .base.rule_values import (
    ACTIONS,
    LEADS,
    NOTHING,
    TYPES,
    FamilyWord,
    FirewallMark,
    Ports,
    ProtocolWord,
    canonical_fwmark,
    content,
    unless_all,
    words,
)
from .base.values import Family, Name, Network, Range, RoutingTable, family_of

FAMILIES = {"ip": int(socket.AF_INET), "ip6": int(socket.AF_INET6)}
FAMILY_NAMES = {"ipv4": "ip", "ipv6": "ip6", "inet": "ip", "inet6": "ip6", "ip": "ip", "ip6": "ip6"}


class RuleTable(Table):
    """One policy rule."""

    priority: Annotated[int, Range(1, 2**32 - 1)] = option(
        "priority; the kernel evaluates the lowest first, and those of one priority in no order that a file can choose"
    )
    source: Network | None = option("source network", default=None, key="from")
    to: Network | None = option("destination network", default=None)
    iif: Name | None = option("incoming link", default=None)
    oif: Name | None = option("outgoing link", default=None)
    fwmark: FirewallMark | None = option("firewall mark", default=None)
    ipproto: ProtocolWord | None = option("protocol of the packet", default=None)
    sport: Ports | None = option("source port, or ports", default=None)
    dport: Ports | None = option("destination port, or ports", default=None)
    inverted: bool = option("all other packets: those that do not match", default=False, key="not")
    type: Literal["unicast", "blackhole", "unreachable", "prohibit"] = option(
        "what is done: look up a routing table, or drop the packet silently, or with an ICMP error", default="unicast"
    )
    table: RoutingTable | None = option("routing table to look up", default=None, absent='`"main"`')
    suppress_prefixlength: Annotated[int, Range(0, 128)] | None = option(
        "ignore routes of the table with a prefix of this length or shorter (0: the default route)", default=None
    )
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
        for key in ("table", "suppress_prefixlength"):
            if self.type != "unicast" and getattr(self, key) is not None:
                raise ValueError(f"{key}: a rule of type '{self.type}' looks up no table: leave it out")
        if (self.suppress_prefixlength or 0) > 32 and self.family_name == "ip":
            raise ValueError("suppress_prefixlength: prefixes of IPv4 have at most 32 bits")

    @property
    def family_name(self) -> str:
        """ "ip" or "ip6": as written, else of its addresses, else IPv4."""
        if self.family is not None:
            return FAMILY_NAMES[self.family]
        address = self.source or self.to
        return "ip6" if address and family_of(address) == 6 else "ip"


class RuleKind(Kind, Diagnosed, Distinguished):
    """rule/FAMILY/PRIORITY."""

    name = "rule"
    toml = TomlForm(RuleTable, "array")
    traits = Traits(
        has_mark=True,
        guard_fields=frozenset(
            {"fwmask", "others", "kernel_rules", *NOTHING} - {"from", "to", "iif", "oif", "fwmark", "table"}
        ),
        taken_over=True,
    )

    def declare(self, table: RuleTable, context: TableContext) -> Iterable[Desired]:
        mark, mask = canonical_fwmark(table.fwmark) if table.fwmark is not None else (0, 0)
        fields = {
            "from": unless_all(table.source),
            "to": unless_all(table.to),
            "iif": table.iif or "",
            "oif": table.oif or "",
            "fwmark": mark,
            "fwmask": mask,
            "ipproto": table.ipproto or 0,
            "sport": table.sport or "",
            "dport": table.dport or "",
            "not": table.inverted,
            "type": table.type,
            "table": 0 if table.type != "unicast" else 254 if table.table is None else table.table,
            "suppress_prefixlength": -1 if table.suppress_prefixlength is None else table.suppress_prefixlength,
        }
        named = [
            (LinkName(context.netns, dev), context.at(end))
            for end, dev in (("iif", table.iif), ("oif", table.oif))
            if dev
        ]
        yield Desired(
            key=Key(context.netns, "rule", f"{table.family_name}/{table.priority}"),
            claims=(f"rule:{context.netns}:{table.family_name}/{table.priority}:{words(fields)}",),
            fields={**fields, "others": 0, "kernel_rules": True},
            origins=(context.origin,),
            locator=fields,
            references=tuple(named),
        )

    def distinguish(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        """Of several of one priority, the first is called by that alone, and the others by what they say, too."""
        groups: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        for one in desired:
            says = content(one.locator)
            groups.setdefault(_place(one.key), {}).setdefault(words(says), says)
        return [_distinguished(one, groups[_place(one.key)]) for one in desired]

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        rules = self._others_apart(key, locator, view)
        equal = next((rule for rule in rules if self._fields(rule) == content(locator) and not rule.other), None)
        if not _is_first(key):
            rules = [equal] if equal is not None else self._rivals(locator, rules)
        if not rules:
            return None
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

    def _others_apart(self, key: Key, locator: Mapping[str, Any], view: View) -> Sequence[PolicyRule]:
        """All of its family and priority, without those that are declared beside it."""
        beside = [content(each) for each in locator.get("beside", ())]
        rules = self._alike(key, view)
        return [rule for rule in rules if rule.other or self._fields(rule) not in beside] if beside else rules

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
        family, priority = key.name.split("/")[:2]
        return view.rules(key.netns, FAMILIES[family], int(priority))

    def _rivals(self, locator: Mapping[str, Any], rules: Sequence[PolicyRule]) -> list[PolicyRule]:
        """If no rule is as declared: foreign rules for the same packets. All others can exist next to netd's."""
        theirs = [rule for rule in rules if rule.protocol != PROTOCOL and not rule.other]
        return [rule for rule in theirs if {**self._fields(rule), **LEADS} == {**content(locator), **LEADS}]

    def _fields(self, rule: PolicyRule) -> dict[str, Any]:
        return {
            "from": rule.source,
            "to": rule.to,
            "iif": rule.iif,
            "oif": rule.oif,
            "fwmark": rule.fwmark,
            "fwmask": rule.fwmask,
            "ipproto": rule.ipproto,
            "sport": rule.sport,
            "dport": rule.dport,
            "not": rule.inverted,
            "table": rule.table,
            "type": ACTIONS.get(rule.action, f"action {rule.action}"),
            "suppress_prefixlength": rule.suppress_prefixlength,
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
        rivals = self._rivals(desired.locator, self._others_apart(desired.key, desired.locator, view))
        made = Step(Phase.RULE, self._operation(desired.key, desired.locator))
        return [*self._deletions(desired.key, rivals), made, *self._kernels(desired.key, view)]

    def _operation(self, key: Key, locator: Mapping[str, Any]) -> CreateRule:
        family, priority = key.name.split("/")[:2]
        says = content(locator)
        rule = PolicyRule(
            family=FAMILIES[family],
            priority=int(priority),
            table=says["table"],
            source=says["from"],
            to=says["to"],
            iif=says["iif"],
            oif=says["oif"],
            fwmark=says["fwmark"],
            fwmask=says["fwmask"],
            action=TYPES[says["type"]],
            suppress_prefixlength=says["suppress_prefixlength"],
            ipproto=says["ipproto"],
            sport=says["sport"],
            dport=says["dport"],
            inverted=says["not"],
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


def _place(key: Key) -> tuple[str, str]:
    """The namespace, and the family with the priority."""
    return key.netns, "/".join(key.name.split("/")[:2])


def _is_first(key: Key) -> bool:
    """Whether it is called by its priority alone."""
    return key.name.count("/") == 1


def _distinguished(one: Desired, group: Mapping[str, Mapping[str, Any]]) -> Desired:
    """An object under its name among those of its priority (what they say, by its words), and what is beside it."""
    own = words(content(one.locator))
    netns, name = _place(one.key)
    if own != next(iter(group)):
        name = f"{name}/{own}"
    beside = [says for others, says in group.items() if others != own]
    if name == one.key.name and beside == one.locator.get("beside", []):
        return one
    says = {"beside": beside} if beside else {}
    return replace(one, key=Key(netns, "rule", name), locator={**content(one.locator), **says})
