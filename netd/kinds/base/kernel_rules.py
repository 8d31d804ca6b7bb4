"""The policy rules that the kernel creates in every namespace: without them nothing is routed."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from netd.model.desired import View
from netd.model.key import HOST
from netd.model.state import PolicyRule

LOCAL, MAIN, DEFAULT = 255, 254, 253
RTPROT_KERNEL, FR_ACT_TO_TBL = 2, 1
FRA_PRIORITY, FRA_TABLE, FRA_PROTOCOL = 6, 15, 21
#: {family: {priority: table}}, fib_default_rules_init() in net/ipv4/fib_rules.c and net/ipv6/fib6_rules.c.
RULES = {
    int(socket.AF_INET): {0: LOCAL, 32766: MAIN, 32767: DEFAULT},
    int(socket.AF_INET6): {0: LOCAL, 32766: MAIN},
}


def lost(netns: str, family: int, view: View) -> list[tuple[int, int]]:
    """(priority, table) of the missing ones."""
    return [
        (priority, table)
        for priority, table in RULES[family].items()
        if not any(is_kernels(rule) for rule in view.rules(netns, family, priority))
    ]


def is_kernels(rule: PolicyRule) -> bool:
    """Whether a rule does the same as one of them, by whomever it was created."""
    selects = rule.source or rule.to or rule.iif or rule.oif or rule.fwmask or rule.other
    selects = selects or rule.ipproto or rule.sport or rule.dport or rule.inverted or rule.suppress_prefixlength >= 0
    return not selects and rule.action == FR_ACT_TO_TBL and RULES[rule.family].get(rule.priority) == rule.table


def are_kept(netns: str, view: View) -> bool:
    """Whether netd restores them: only in namespaces that it created; on the host and in foreign ones it warns."""
    return netns != HOST and not view.attached(netns)


def message(family: int, priority: int, table: int) -> bytes:
    """RTM_NEWRULE of such a rule, as the kernel creates it."""
    head = struct.pack("=BBBBBxxBI", family, 0, 0, 0, table, FR_ACT_TO_TBL, 0)
    numbers = struct.pack("=HHIHHI", 8, FRA_PRIORITY, priority, 8, FRA_TABLE, table)
    return head + numbers + struct.pack("=HHB3x", 5, FRA_PROTOCOL, RTPROT_KERNEL)


def warning(lost_rules: Sequence[tuple[int, int]]) -> str:
    """The warning where netd does not restore them, "" if none is missing."""
    priorities = ", ".join(str(priority) for priority, _ in lost_rules)
    return (
        f"the kernel's default rules of priority {priorities} are missing: their routing tables are not used"
        if priorities
        else ""
    )
