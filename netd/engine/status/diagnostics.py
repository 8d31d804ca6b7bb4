"""Problems of objects that are as declared: read for a status, not in a pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from netd.engine.observe.mirror import Mirror
from netd.kinds import registry
from netd.kinds.base.roles import Diagnosed
from netd.kinds.link.link_kind import LinkKind
from netd.model.desired import Desired
from netd.model.invalidation import Invalidation
from netd.model.key import Key
from netd.model.status import State, Status


def with_diagnostics(rows: Iterable[Status], desired: Mapping[Key, Desired], mirror: Mirror) -> list[Status]:
    """The rows; those that are ok, but cannot receive the packets that they need, with the reason."""
    blocked: dict[Key, str] = {}
    rows = list(rows)
    waiting = [one for row in rows if row.state is State.OK and (one := desired.get(row.key)) and one.required_ingress]
    for netns in {end.tunnel.netns for one in waiting for end in one.ends if end.tunnel is not None}:
        # Legacy iptables reports no changes.
        with suppress(Exception):
            if mirror.kernel.has_legacy(netns):
                mirror.invalidate([Invalidation("nft", netns)])
    with mirror.reading():
        for row in rows:
            of: object = registry().get(row.key.kind)
            if row.state is State.OK and row.key in desired and isinstance(of, Diagnosed):
                with suppress(Exception):
                    if found := of.diagnosis(desired[row.key], mirror):
                        blocked[row.key] = found
        for one in waiting:
            with suppress(Exception):
                kind = registry()[one.key.kind]
                if isinstance(kind, LinkKind):
                    blocked[one.key] = kind.missing_ingress(one, mirror)
    return [replace(row, reason=blocked[row.key]) if row.key in blocked else row for row in rows]


def with_faults(rows: Iterable[Status], faults: Mapping[Key, str]) -> list[Status]:
    """The rows; those of objects that have a fault, with what it is."""
    return [replace(row, fault=faults[row.key]) if row.key in faults else row for row in rows]
