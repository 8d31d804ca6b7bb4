"""A way through the FORWARD chains of other tools: ``forward = true`` of a link.

An accept in a table of netd's own cannot undo another table's drop, so single plain rules stand in the foreign chain
itself: what survives ``iptables-save | iptables-restore``, and what ``iptables -S`` can print. Where nothing can drop
nothing is put in; what was put in stays until the key goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.dirty import Topic
from netd.model.firewall import DIRECTIONS, Accept, ForwardChain
from netd.model.key import Key, LinkName
from netd.model.marks import TABLE
from netd.model.operations import LegacyForward, RunNft

from .kind import Kind

#: The nft match of each direction.
MATCH = {"in": "iifname", "out": "oifname"}


def forward_object(link: LinkName, origin: Origin) -> Desired:
    """The way across one link. It matches by name and waits for nothing."""
    return Desired(Key(link.netns, "forward", link.name), {"accepted": True}, (origin,))


class ForwardKind(Kind):
    """forward/DEV."""

    name = "forward"
    always_own = True

    def declare(self, table: Any, place: Any) -> Iterable[Desired]:
        return ()

    def observe(
        self, key: Key, data: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        if not view.exists(key.netns):
            return None
        chains = view.firewall(key.netns).chains
        closed = any(_missing(chain, key.name) for chain in chains)
        rules = any(_mine(chain, key.name) for chain in chains)
        if closed and not rules:
            return None
        return Observed({"accepted": not closed}, {"cookie": view.cookie(key.netns)}, marked=rules)

    def topics(self, key: Key, data: Mapping[str, Any]) -> Iterable[Topic]:
        return (Topic("nft", key.netns),)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return _open(desired.key, view)

    def change(
        self, key: Key, data: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        return _open(key, view)

    def delete(self, key: Key, data: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        chains = view.firewall(key.netns).chains
        return _steps(key, [(chain, rule) for chain in chains for rule in _mine(chain, key.name)], [])


def _mine(chain: ForwardChain, dev: str) -> list[Accept]:
    return [rule for rule in chain.accepted if rule.dev == dev]


def _missing(chain: ForwardChain, dev: str) -> list[str]:
    """The directions that have no rule which a packet reaches."""
    if not chain.needed:
        return []
    there = {rule.direction for rule in _mine(chain, dev) if rule.effective}
    return [direction for direction in DIRECTIONS if direction not in there]


def _open(key: Key, view: View) -> Sequence[Step]:
    """Puts in what is missing, and takes away what stands too low in a chain to be reached."""
    stale: list[tuple[ForwardChain, Accept]] = []
    fresh: list[tuple[ForwardChain, str]] = []
    for chain in view.firewall(key.netns).chains:
        missing = _missing(chain, key.name)
        stale += [(chain, rule) for rule in _mine(chain, key.name) if rule.direction in missing]
        fresh += [(chain, direction) for direction in missing]
    return _steps(key, stale, fresh)


def _steps(
    key: Key, stale: Iterable[tuple[ForwardChain, Accept]], fresh: Iterable[tuple[ForwardChain, str]]
) -> list[Step]:
    lines: list[str] = []
    steps: list[Step] = []
    for chain, rule in stale:
        if chain.legacy:
            gone = LegacyForward(key.netns, chain.family, key.name, rule.direction, chain.chain, delete=True)
            steps.append(Step(Phase.FIREWALL, gone))
        else:
            lines.append(f"delete rule {chain.family} {chain.table} {chain.chain} handle {rule.handle}")
    for chain, direction in fresh:
        if chain.legacy:
            put = LegacyForward(key.netns, chain.family, key.name, direction, chain.chain)
            steps.append(Step(Phase.FIREWALL, put))
        else:
            lines.append(
                f"insert rule {chain.family} {chain.table} {chain.chain} "
                f'{MATCH[direction]} "{key.name}" counter accept comment "{TABLE}"'
            )
    if lines:
        steps.append(Step(Phase.FIREWALL, RunNft(key.netns, "\n".join(lines) + "\n")))
    return steps
