"""What there is to say of objects that are right themselves: read when someone asks, not in rounds."""

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
    """The rows, with a reason at those that are ok and do not get what they are there to hear."""
    deaf: dict[Key, str] = {}
    rows = list(rows)
    hearing = [one for row in rows if row.state is State.OK and (one := desired.get(row.key)) and one.required_ingress]
    for netns in {end.tunnel.netns for one in hearing for end in one.ends if end.tunnel is not None}:
        # Legacy iptables tells of no change.
        with suppress(Exception):
            if mirror.kernel.has_legacy(netns):
                mirror.invalidate(Invalidation("nft", netns))
    with mirror.reading():
        for row in rows:
            of: object = registry().get(row.key.kind)
            if row.state is State.OK and row.key in desired and isinstance(of, Diagnosed):
                with suppress(Exception):
                    if found := of.diagnosis(desired[row.key], mirror):
                        deaf[row.key] = found
        for one in hearing:
            with suppress(Exception):
                kind = registry()[one.key.kind]
                if isinstance(kind, LinkKind):
                    deaf[one.key] = kind.missing_ingress(one, mirror)
    return [replace(row, reason=deaf[row.key]) if row.key in deaf else row for row in rows]
