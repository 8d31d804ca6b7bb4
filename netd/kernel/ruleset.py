"""What the rules mean: netd's own table as it stands, and the forward chains of others that can drop.

Handles of a table count from 1 in the order of creation, so netd knows them beforehand and writes each into its rule's
comment::

    dnat/ip/tcp/8083,*,* 5b1f09ac3e 1/4 #6       object, digest of its rules, which of how many, handle

A rule that does not say its own handle is someone else's. But ``nft replace rule`` keeps the handle, and so may a
listing that is saved, edited and loaded again. So a digest of all rules as the kernel has them compiled is put into a
chain that no packet sees, right after they were written: the seal.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Sequence

from netd.model.firewall import Accept, Direction, Firewall, ForwardChain, OwnRules
from netd.model.marks import TABLE

from .nfnetlink import Chain, Expression, Rule, Table, nested

OWN = ("inet", TABLE)
#: Tables that know how to let a link through by themselves (firewalld: zones).
APART = frozenset({OWN, ("inet", "firewalld"), ("ip", "firewalld"), ("ip6", "firewalld")})
#: netd's chains: name to (type, hook, priority), NF_INET_PRE_ROUTING 0, LOCAL_OUT 3, POST_ROUTING 4.
CHAINS = {"prerouting": ("nat", 0, -100), "output": ("nat", 3, -100), "postrouting": ("nat", 4, 100)}
HOOK_FORWARD = 2
SEAL = "seal"
COMMENT = re.compile(r"(\S+) ([0-9a-f]+) (\d+)/(\d+) #(\d+)")
#: Names that can stand in nft(8) text as they are.
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9/\\_.-]*")
#: Verdicts, NFT_JUMP, NFT_GOTO, NFT_RETURN.
DROP, ACCEPT, JUMP, GOTO, RETURN = 0, 1, -3, -4, -5
#: What Docker leaves to its users, and never touches.
USER_CHAIN = "DOCKER-USER"
#: NFT_META_IIFNAME, NFT_META_OIFNAME.
NAMES: dict[int, Direction] = {6: "in", 7: "out"}


def is_own(family: str, table: str) -> bool:
    """Whether it is netd's table."""
    return (family, table) == OWN


def firewall(
    tables: Iterable[Table], chains: Iterable[Chain], rules: Sequence[Rule], forward: tuple[ForwardChain, ...]
) -> Firewall:
    """All of it together."""
    own = [table for table in tables if is_own(table.family, table.name)]
    if not own:
        return Firewall(chains=forward)
    disorder = "the table is dormant" if own[0].dormant else ""
    for chain in chains:
        if is_own(chain.family, chain.table) and not disorder:
            disorder = _chain_disorder(chain)
    parts: dict[str, list[tuple[str, int, int]]] = {}
    sealed = [rule.comment for rule in rules if rule.chain == SEAL]
    rules = [rule for rule in rules if rule.chain != SEAL]
    for rule in rules:
        found = COMMENT.fullmatch(rule.comment)
        if found is None or int(found[5]) != rule.handle:
            disorder = disorder or f"a foreign rule in chain {rule.chain}"
            continue
        parts.setdefault(found[1], []).append((found[2], int(found[4]), rule.handle))
    disorder = disorder or _seal_disorder(sealed, rules)
    first = {name: min(handle for _, _, handle in seen) for name, seen in parts.items()}
    ordered = sorted(parts, key=lambda name: first[name])
    return Firewall(True, disorder, {name: _own(parts[name], place) for place, name in enumerate(ordered)}, forward)


def fills_own(text: str) -> bool:
    """Whether a transaction puts rules into netd's table."""
    return f"\nadd rule {' '.join(OWN)} " in text


def seal(rules: Sequence[Rule]) -> str:
    """The transaction that seals the rules as they were read back."""
    own = " ".join(OWN)
    return f'add chain {own} {SEAL}\nadd rule {own} {SEAL} continue comment "{_sealed(rules)}"\n'


def _sealed(rules: Sequence[Rule]) -> str:
    """ "COUNT DIGEST" """
    digest = hashlib.sha256()
    for rule in rules:
        digest.update(f"{rule.chain} {rule.handle} {rule.comment}\n".encode() + rule.raw)
    return f"{len(rules)} {digest.hexdigest()[:32]}"


def _seal_disorder(sealed: Sequence[str], rules: Sequence[Rule]) -> str:
    """Lost rules show by themselves; of those that are left the seal cannot tell."""
    if len(sealed) != 1:
        return "the seal is broken, or was never set"
    count = sealed[0].partition(" ")[0]
    if count.isdigit() and int(count) > len(rules):
        return ""
    return "" if sealed[0] == _sealed(rules) else "a rule was replaced"


def _chain_disorder(chain: Chain) -> str:
    if chain.name == SEAL and chain.hook is None:
        return ""
    if CHAINS.get(chain.name) != (chain.type, chain.hook, chain.priority):
        return f"a foreign chain {chain.name}"
    return "" if chain.policy == ACCEPT else f"chain {chain.name} drops"


def _own(seen: Sequence[tuple[str, int, int]], place: int) -> OwnRules:
    digest, count, _ = seen[0]
    if len(seen) < count:
        digest = f"{count - len(seen)} of {count} rules are missing"
    return OwnRules(digest, place)


def forwarding(chains: Iterable[Chain]) -> list[tuple[str, str]]:
    """The tables of others that see forwarded packets."""
    found = {(chain.family, chain.table): None for chain in chains if _is_forward(chain)}
    return list(found)


def _is_forward(chain: Chain) -> bool:
    return (
        chain.hook == HOOK_FORWARD
        and chain.family in ("ip", "ip6", "inet")
        and (chain.family, chain.table) not in APART
        and all(PLAIN.fullmatch(name) for name in (chain.table, chain.name))
    )


def forward_chains(chains: Iterable[Chain], rules: Iterable[Rule]) -> list[ForwardChain]:
    """Chains where an accept is needed, or where one of netd's is."""
    by_chain: dict[tuple[str, str], dict[str, list[Rule]]] = {}
    for rule in rules:
        by_chain.setdefault((rule.family, rule.table), {}).setdefault(rule.chain, []).append(rule)
    found: list[ForwardChain] = []
    for base in chains:
        if not _is_forward(base):
            continue
        table = by_chain.get((base.family, base.table), {})
        needed = base.policy == DROP or any(may_drop(rule, table) for rule in table.get(base.name, ()))
        target = _target(base.name, table)
        for name in dict.fromkeys((target, base.name)):
            accepted = tuple(_accepts(table.get(name, ()), table))
            if accepted or (needed and name == target):
                found.append(ForwardChain(base.family, base.table, name, False, needed and name == target, accepted))
    return found


def _target(base: str, table: dict[str, list[Rule]]) -> str:
    """The chain to put an accept into: Docker's for users, where the packet gets there at all."""
    for rule in table.get(base, ()):
        if any(verdict(one) == (JUMP, USER_CHAIN) for one in rule.expressions):
            return USER_CHAIN
        if may_drop(rule, table):
            break
    return base


def _accepts(rules: Iterable[Rule], table: dict[str, list[Rule]]) -> Iterable[Accept]:
    effective = True
    for rule in rules:
        own = own_accept(rule)
        if own is not None:
            yield Accept(own[0], own[1], rule.handle, effective)
        elif may_drop(rule, table) or any((verdict(one) or (0, ""))[0] == RETURN for one in rule.expressions):
            effective = False


def own_accept(rule: Rule) -> tuple[Direction, str] | None:
    """(direction, link), if it is one of netd's: nothing but the link, the comment and accept."""
    expressions = rule.expressions
    match = [one for one in expressions if one.name not in ("counter", "match")]
    others = [one for one in expressions if one.name == "match"]
    if [one.name for one in match] != ["meta", "cmp", "immediate"] or verdict(match[2]) != (ACCEPT, ""):
        return None
    if not (rule.comment == TABLE and not others) and [_xt_comment(one) for one in others] != [TABLE]:
        return None
    meta, compared = match[0].attributes, nested(match[1].attributes.get(3, b"")).get(1, b"")
    direction = NAMES.get(int.from_bytes(meta.get(2, b""), "big"))
    if direction is None or int.from_bytes(match[1].attributes.get(2, b""), "big") != 0 or not compared.endswith(b"\0"):
        return None
    return direction, compared.rstrip(b"\0").decode(errors="surrogateescape")


def _xt_comment(expression: Expression) -> str:
    """The text of an xt "comment" match (struct xt_comment_info: 256 bytes)."""
    if expression.attributes.get(1, b"").rstrip(b"\0") != b"comment":
        return ""
    return expression.attributes.get(3, b"").partition(b"\0")[0].decode(errors="replace")


def may_drop(rule: Rule, table: dict[str, list[Rule]], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a packet can end here: drop, reject, a verdict map, or a jump to a chain that does."""
    for one in rule.expressions:
        if one.name == "reject" or (one.name == "lookup" and 3 in one.attributes and not any(one.attributes[3])):
            return True
        if one.name == "target" and one.attributes.get(1, b"").rstrip(b"\0") in (b"REJECT", b"DROP", b"TARPIT"):
            return True
        code, chain = verdict(one) or (ACCEPT, "")
        if code == DROP:
            return True
        if code in (JUMP, GOTO) and chain not in seen:
            deeper = seen | {chain}
            if any(may_drop(below, table, deeper) for below in table.get(chain, ())):
                return True
    return False


def verdict(expression: Expression) -> tuple[int, str] | None:
    """(code, chain) of an "immediate" into the verdict register."""
    if expression.name != "immediate":
        return None
    data = nested(nested(expression.attributes.get(2, b"")).get(2, b""))
    if len(data.get(1, b"")) != 4:
        return None
    code: int = struct.unpack("!i", data[1])[0]
    return code, data.get(2, b"").rstrip(b"\0").decode(errors="surrogateescape")
