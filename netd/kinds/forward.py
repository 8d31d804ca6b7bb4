"""A way through the FORWARD chains of other tools: ``forward = true`` of a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netd.model.desired import Desired, Origin
from netd.model.firewall import Match
from netd.model.key import Key, LinkName

from .base.accept_rule import AcceptRule


def forward_object(link: LinkName, origin: Origin) -> Desired:
    """The way across one link. It matches by name and waits for nothing."""
    return Desired(Key(link.netns, "forward", link.name), {"accepted": True}, (origin,))


class ForwardKind(AcceptRule):
    """forward/DEV: what comes by the link, and what leaves by it."""

    name = "forward"
    hook = "forward"

    def packets(self, key: Key, locator: Mapping[str, Any]) -> Sequence[Match]:
        return (Match(iif=key.name), Match(oif=key.name))
