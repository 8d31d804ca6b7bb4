"""Accept rules in the FORWARD chains of other tools: ``forward = true`` of a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from netd.model.desired import Desired, Origin
from netd.model.firewall import Match
from netd.model.key import Key, LinkName

from .base.accept_rule import AcceptRule
from .base.roles import NeedsForwarding


def forward_object(link: LinkName, origin: Origin) -> Desired:
    """Forwarding across one link. The rules match by name and wait for nothing."""
    return Desired(Key(link.netns, "forward", link.name), {"accepted": True}, (origin,))


class ForwardKind(AcceptRule, NeedsForwarding):
    """forward/DEV: packets that arrive by the link, and that leave by it."""

    name = "forward"
    hook = "forward"

    def forwarded(self, key: Key) -> Sequence[Literal["ip", "ip6"]]:
        return ("ip", "ip6")

    def packets(self, key: Key, locator: Mapping[str, Any]) -> Sequence[Match]:
        return (Match(iif=key.name), Match(oif=key.name))
