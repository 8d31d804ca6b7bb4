"""Links of which the kernel does not say in which namespace their packets are sent (geneve, wireguard)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from netd.model.desired import Observed, View
from netd.model.key import Key

from .link_kind import DEV_NAMESPACE, UNNAMED, LinkKind

#: In the identity: the cookie of the namespace that the link was created from.
OUTER = "outer"


class UntoldKind(LinkKind):
    """netd remembers where it created a link; one that it adopts is believed to be as it is declared.

    If that namespace is deleted and created again, the link is dead: a geneve is deleted, a wireguard loses its socket.
    """

    tells_namespace = False

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        found = super().observe(key, locator, view, identity)
        if found is None or found.conflict:
            return found
        declared = str(locator.get(DEV_NAMESPACE, key.netns))
        known = identity if found.identity.items() <= identity.items() else {}
        outer, now = known.get(OUTER), view.cookie(declared)
        place = declared if outer in (None, now) else UNNAMED
        identified = {**found.identity, OUTER: now if outer is None else outer}
        return replace(found, fields={**found.fields, DEV_NAMESPACE: place}, identity=identified)
