"""What the present rules of netd's own table mean.

Handles of a table count from 1 in the order of creation, so netd knows them beforehand and writes each into its rule's
comment::

    dnat/ip/tcp/8083,*,* 5b1f09ac3e 1/4 #6       object, digest of its rules, which of how many, handle

A rule without its own handle in its comment is foreign. But ``nft replace rule`` keeps the handle, and so may a
listing that is saved, edited and loaded again. So a digest of all rules as the kernel has them compiled is put into a
chain that no packet sees, right after they were written: the seal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from netd.model.firewall import BaseChain, Firewall, OwnRules
from netd.model.marks import TABLE

from .nfnetlink import NftChain, NftRule, NftTable
from .rules import ACCEPT

OWN = ("inet", TABLE)
#: netd's chains: name to (type, hook, priority), NF_INET_PRE_ROUTING 0, LOCAL_OUT 3, POST_ROUTING 4.
CHAINS = {"prerouting": ("nat", 0, -100), "output": ("nat", 3, -100), "postrouting": ("nat", 4, 100)}
SEAL = "seal"
COMMENT = re.compile(r"(\S+) ([0-9a-f]+) (\d+)/(\d+) #(\d+)")


def is_own(family: str, table: str) -> bool:
    """Whether it is netd's table."""
    return (family, table) == OWN


def firewall(
    tables: Iterable[NftTable],
    chains: Iterable[NftChain],
    rules: Sequence[NftRule],
    base_chains: tuple[BaseChain, ...],
    unreadable: str = "",
) -> Firewall:
    """All of it together."""
    own = [table for table in tables if is_own(table.family, table.name)]
    if not own:
        return Firewall(base_chains=base_chains, unreadable=unreadable)
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
    objects = {name: _own(parts[name], position) for position, name in enumerate(ordered)}
    return Firewall(True, disorder, objects, base_chains, unreadable)


def fills_own(text: str) -> bool:
    """Whether a transaction puts rules into netd's table."""
    return f"\nadd rule {' '.join(OWN)} " in text


def seal(rules: Sequence[NftRule]) -> str:
    """The transaction that seals the rules as they were read back."""
    own = " ".join(OWN)
    return f'add chain {own} {SEAL}\nadd rule {own} {SEAL} continue comment "{_sealed(rules)}"\n'


def _sealed(rules: Sequence[NftRule]) -> str:
    """ "COUNT DIGEST" """
    digest = hashlib.sha256()
    for rule in rules:
        digest.update(f"{rule.chain} {rule.handle} {rule.comment}\n".encode(errors="surrogateescape") + rule.raw)
    return f"{len(rules)} {digest.hexdigest()[:32]}"


def _seal_disorder(sealed: Sequence[str], rules: Sequence[NftRule]) -> str:
    """Lost rules show by themselves; of those that are left the seal cannot tell."""
    if len(sealed) != 1:
        return "the seal is broken, or was never set"
    count = sealed[0].partition(" ")[0]
    if count.isdigit() and int(count) > len(rules):
        return ""
    return "" if sealed[0] == _sealed(rules) else "a rule was replaced"


def _chain_disorder(chain: NftChain) -> str:
    if chain.name == SEAL and chain.hook is None:
        return ""
    if CHAINS.get(chain.name) != (chain.type, chain.hook, chain.priority):
        return f"a foreign chain {chain.name}"
    return "" if chain.policy == ACCEPT else f"chain {chain.name} drops"


def _own(seen: Sequence[tuple[str, int, int]], position: int) -> OwnRules:
    digest, count, _ = seen[0]
    if len(seen) < count:
        digest = f"{count - len(seen)} of {count} rules are missing"
    return OwnRules(digest, position)
