"""Whether a bridge's port forwards, or is blocked by the spanning tree protocol or an operator."""

from __future__ import annotations

import struct
from typing import Any

from netd.model.desired import HIDDEN, View
from netd.model.segment import End
from netd.model.state import IFF_RUNNING, Link, attributes
from netd.model.status import Unusable

#: IFLA_BRPORT_STATE of a port, and IFLA_BR_STP_STATE of its bridge.
STATE, STP_STATE = 1, 5
DISABLED, LISTENING, LEARNING, FORWARDING, BLOCKING = range(5)
STATES = ("disabled", "listening", "learning", "forwarding", "blocking")


def state_of(link: Link) -> int | None:
    """BR_STATE_* of a port that is up and has a carrier; None of anything else."""
    payload = attributes(link.port).get(STATE) if link.port else None
    if not payload or payload[0] >= len(STATES) or not link.up or not link.flags & IFF_RUNNING:
        return None
    return payload[0]


def has_stp(link: Link, netns: str, view: View) -> bool:
    """Whether the port's bridge runs the spanning tree protocol, which has the ports in other states for a time."""
    bridge = view.link_at(netns, link.master)
    payload = attributes(bridge.info).get(STP_STATE, b"") if bridge is not None else b""
    return len(payload) == 4 and struct.unpack("=I", payload)[0] != 0


def shown_state(link: Link, netns: str, view: View) -> Any:
    """The state that is compared: without the spanning tree protocol a port forwards, unless an operator stopped it."""
    state = state_of(link)
    return HIDDEN if state is None or has_stp(link, netns, view) else STATES[state]


def unusable_port(ends: tuple[End, ...], view: View) -> Unusable | None:
    """The port of these that does not forward yet; one that the protocol blocks, because there is another path, is
    as it should be."""
    for end in ends:
        link = view.link(*end.link)
        state = state_of(link) if link is not None else None
        if link is not None and state in (LISTENING, LEARNING) and has_stp(link, end.link.netns, view):
            return Unusable(f"{end.link} does not forward yet: the spanning tree protocol is {STATES[state]}", True)
    return None
