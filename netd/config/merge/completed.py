"""Objects that depend on what all files declare."""

from __future__ import annotations

from collections.abc import Mapping

from netd.kinds import registry
from netd.kinds.base.roles import SeesAll
from netd.model.desired import Desired
from netd.model.key import Key


def with_all(desired: Mapping[Key, Desired]) -> Mapping[Key, Desired]:
    """The same objects, completed by their kinds."""
    for name, kind in registry().items():
        own = [each for key, each in desired.items() if key.kind == name] if isinstance(kind, SeesAll) else []
        if own and isinstance(kind, SeesAll):
            desired = {**desired, **kind.completed(own, desired)}
    return desired
