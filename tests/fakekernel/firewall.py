"""nftables, as far as netd uses it: its own table, and single rules in foreign chains."""

from __future__ import annotations

import copy
import errno
import re

from netd.errors import kernel_error
from netd.kernel.nft.own_table import COMMENT
from netd.model import firewall as model
from netd.model.firewall import BaseChain, ChainRule, Match, OwnRules
from netd.model.invalidation import Invalidation
from netd.model.operations import LegacyAccept

from .machine import FakeMachine
from .space import Chain, FakeNamespace, Firewall

RULE = re.compile(r'add rule inet netd (\S+) (.*) comment "([^"]*)"')
INSERT = re.compile(r'insert rule (\S+) (\S+) (\S+) (.*) counter accept comment "netd"')
ASKED = re.compile(r'(iif|oif)name "([^"]*)"|ip6? saddr (\S+)|udp dport (\d+)')
DELETE = re.compile(r"delete rule (\S+) (\S+) (\S+) handle (\d+)")


def run(machine: FakeMachine, space: FakeNamespace, text: str) -> None:
    """One transaction: all of it or nothing; KernelError ENOENT, EINVAL."""
    draft = copy.deepcopy(space.firewall)
    for line in text.splitlines():
        if line.strip():
            _line(draft, line.strip())
    space.firewall = draft
    machine.announce(space, Invalidation("nft"))


def _line(draft: Firewall, line: str) -> None:
    if line == "add table inet netd":
        draft.own = draft.own if draft.own is not None else []
    elif line == "delete table inet netd":
        if draft.own is None:
            raise kernel_error(errno.ENOENT, "nft: Could not process rule")
        draft.own = None
    elif found := RULE.fullmatch(line):
        if draft.own is None:
            raise kernel_error(errno.ENOENT, "nft: Could not process rule")
        draft.own.append((found[1], found[2], found[3]))
    elif found := INSERT.fullmatch(line):
        draft.handle += 1
        accept = ChainRule(_match(found[1], found[4]), "accept", own=True, handle=draft.handle)
        _chain(draft, *found.group(1, 2, 3)).accepted.insert(0, accept)
    elif found := DELETE.fullmatch(line):
        chain = _chain(draft, *found.group(1, 2, 3))
        left = [rule for rule in chain.accepted if rule.handle != int(found[4])]
        if len(left) == len(chain.accepted):
            raise kernel_error(errno.ENOENT, "nft: Could not process rule")
        chain.accepted = left
    elif not line.startswith(("add set inet netd ", "add chain inet netd ")):
        raise kernel_error(errno.EINVAL, f"nft: syntax error: {line}")


def _match(family: str, text: str) -> Match:
    asked = Match(family)
    for link, name, source, port in ASKED.findall(text):
        asked = asked._replace(**{link: name} if link else {"source": source} if source else {})
        asked = asked._replace(protocol="udp", port=port) if port else asked
    if ASKED.sub("", text).strip():
        raise kernel_error(errno.EINVAL, f"nft: syntax error: {text}")
    return asked


def _chain(draft: Firewall, family: str, table: str, chain: str) -> Chain:
    for one in draft.chains:
        if (one.family, one.table, one.chain) == (family, table, chain) and not one.legacy:
            return one
    raise kernel_error(errno.ENOENT, "nft: Could not process rule")


def run_legacy(space: FakeNamespace, rule: LegacyAccept) -> None:
    """iptables-legacy, which causes no event; KernelError EINVAL."""
    accept = ChainRule(rule.match, "accept", own=True)
    for one in space.firewall.chains:
        if one.legacy and (one.family, one.chain) == (rule.family, rule.chain):
            if not rule.delete:
                one.accepted.insert(0, accept)
                return
            if accept in one.accepted:
                one.accepted.remove(accept)
                return
    raise kernel_error(errno.EINVAL, "iptables: Bad rule (does a matching rule exist in that chain?).")


def read(space: FakeNamespace) -> model.Firewall:
    """As ``netd.kernel.nft.libnftables.read`` returns it."""
    gates = tuple(
        BaseChain(one.hook, one.family, one.table, one.chain, one.legacy, True, rules={one.chain: tuple(one.accepted)})
        for one in space.firewall.chains
    )
    if space.firewall.own is None:
        return model.Firewall(base_chains=gates)
    seen: dict[str, list[tuple[str, int]]] = {}
    disorder = ""
    for _, _, comment in space.firewall.own:
        found = COMMENT.fullmatch(comment)
        if found is None:
            disorder = "a foreign rule"
            continue
        seen.setdefault(found[1], []).append((found[2], int(found[4])))
    own = {}
    for place, (name, rules) in enumerate(seen.items()):
        digest, count = rules[0]
        missing = f"{count - len(rules)} of {count} rules are missing"
        own[name] = OwnRules(digest if len(rules) >= count else missing, place)
    return model.Firewall(True, disorder, own, gates)
