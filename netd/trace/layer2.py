"""A frame from link to link: pairs, bridges, VLANs, MAC-VLANs, tunnels.

A broadcast, and what a bridge does not know, goes several ways: all of them are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from netd.model.key import LinkName
from netd.model.state import IFF_RUNNING, Link

from .bridges import Bridges
from .connections import Connections
from .filters.evaluate import Sight
from .hooks import Hooks
from .machine import Machine
from .packet import Frame
from .steps import Way, leaves, lost, unknown

#: Links one after the other, before it counts as a loop.
LONGEST = 64
LOOPBACK = "lo"


class Layer2:
    """``tunnel`` follows the outer packet of a tunnel, and returns the ways of what comes out of it."""

    def __init__(self, machine: Machine, hooks: Hooks, connections: Connections) -> None:
        self._machine = machine
        self._topology = machine.topology
        self._hooks = hooks
        self._bridges = Bridges(machine, hooks, connections, self.transmit, self.arrive)
        self._depth = 0
        self.tunnel: Callable[[LinkName, Link, Frame], Iterator[Way]] = lambda at, link, frame: iter(())

    # sending ---------------------------------------------------------------------------------------------------

    def transmit(self, at: LinkName, frame: Frame) -> Iterator[Way]:
        """The ways of a frame that is sent by a link."""
        link = self._machine.link(at)
        if link is None:
            yield lost(f"{at} does not exist")
            return
        if not link.up:
            yield lost(f"{at} is down", self._machine.step(at, "link", "is down"))
            return
        if frame.size > link.mtu:
            reason = f"a packet of {frame.size} bytes is larger than the MTU {link.mtu} of {at}"
            yield lost(reason, self._machine.step(at, "link", f"MTU {link.mtu}: the packet has {frame.size} bytes"))
            return
        if self._depth > LONGEST:
            yield unknown("the way is too long, or a loop of bridges")
            return
        self._depth += 1
        try:
            yield from SENDERS.get(link.kind, Layer2._unknown_kind)(self, at, link, frame)
        finally:
            self._depth -= 1

    def _pair(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        peer = self._topology.peer(at)
        step = self._machine.step(at, "link", f"leaves by {at}" + (f" to its other end {peer}" if peer else ""))
        if peer is None:
            yield leaves(f"the other end of {at} is in a namespace without a name", step)
            return
        for way in self.receive(peer, frame):
            yield way.after([step])

    def _bridge(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        yield from self._bridges.from_itself(at, frame)

    def _vlan(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        below, number = self._topology.carrier(at), int(self._topology.options(at).get("id", 0))
        step = self._machine.step(at, "vlan", f"gets the tag of VLAN {number}")
        if below is None:
            yield unknown(f"the link below {at} is in a namespace without a name", step)
            return
        for way in self.transmit(below, replace(frame, tags=(*frame.tags, number))):
            yield way.after([step])

    def _macvlan(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        below = self._topology.carrier(at)
        mode = str(self._topology.options(at).get("mode", "bridge"))
        step = self._machine.step(at, "link", f"leaves by {at} ({link.kind}, mode {mode}) on {below}")
        if below is None:
            yield unknown(f"the link below {at} is in a namespace without a name", step)
            return
        if mode in ("bridge", "l2", "l3", "l3s"):
            beside = [each for each in self._topology.carried(below) if each != at and self._is_for(each, frame)]
            for other in beside:
                for way in self.arrive(other, frame):
                    yield way.after([step])
            if beside and not frame.is_broadcast:
                return
        for way in self.transmit(below, frame):
            yield way.after([step])

    def _bond(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        members = [each for each in self._topology.ports(at) if self._runs(each)]
        step = self._machine.step(at, "link", f"leaves by {at}" + (f", member {members[0].name}" if members else ""))
        if not members:
            yield lost(f"no member of {at} is up", step)
            return
        for way in self.transmit(members[0], frame):
            yield way.after([step])

    def _dummy(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        yield lost(
            f"{at} is a dummy link: nothing that it sends goes anywhere", self._machine.step(at, "link", "dummy")
        )

    def _tunnel(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        yield from self.tunnel(at, link, frame)

    def _outside(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        what = f"a {link.kind} link" if link.kind else "a physical link"
        yield leaves(f"it leaves this machine by {at}", self._machine.step(at, "link", f"leaves by {at}, {what}"))

    def _unknown_kind(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        if at.name == LOOPBACK:
            yield from self.arrive(at, frame)
        elif not link.kind:
            yield from self._outside(at, link, frame)
        else:
            yield unknown(
                f"what a link of kind {link.kind} does is not known", self._machine.step(at, "link", link.kind)
            )

    # receiving -------------------------------------------------------------------------------------------------

    def receive(self, at: LinkName, frame: Frame) -> Iterator[Way]:
        """The ways of a frame that a link receives."""
        link = self._machine.link(at)
        if link is None or not link.up:
            yield lost(f"{at} is down", self._machine.step(at, "link", "is down"))
            return
        sight = Sight(frame.packet, at.name, "", frame.source, frame.destination, arp=frame.arp)
        steps, end = self._hooks.run(at.netns, "ingress", ("netdev",), sight)
        if end is not None:
            yield end.after(steps)
            return
        if frame.tags and not self._bridges.takes_tags(at):
            yield from self._untag(at, frame)
            return
        master = self._topology.master(at)
        above = self._link_kind(master)
        if above == "bridge" and master is not None:
            yield from self._bridges.from_port(master, at, frame)
            return
        if above in ("bond", "team") and master is not None:
            yield from self.receive(master, frame)
            return
        takers = (
            [each for each in self._topology.carried(at) if self._takes(each, frame)] if link.kind != "vxlan" else []
        )
        for other in takers:
            yield from self.arrive(other, frame)
        if not takers or frame.is_broadcast:
            yield from self.arrive(at, frame)

    def _untag(self, at: LinkName, frame: Frame) -> Iterator[Way]:
        number = frame.tags[-1]
        for other in self._topology.carried(at):
            if self._link_kind(other) == "vlan" and self._topology.options(other).get("id") == number:
                step = self._machine.step(other, "vlan", f"takes the frames of VLAN {number} on {at}")
                for way in self.receive(other, replace(frame, tags=frame.tags[:-1])):
                    yield way.after([step])
                return
        yield lost(f"nothing on {at} takes VLAN {number}", self._machine.step(at, "vlan", f"no link for VLAN {number}"))

    def arrive(self, at: LinkName, frame: Frame) -> Iterator[Way]:
        """A frame that its link hands to IP, if it is for this link."""
        link = self._machine.link(at)
        if link is None or not link.up:
            yield lost(f"{at} is down", self._machine.step(at, "link", "is down"))
        elif frame.destination in ("", link.mac) or frame.is_broadcast or not link.mac or at.name == LOOPBACK:
            yield Way((), "delivered", arrived=at, frame=frame)
        else:
            reason = f"{at} has the MAC {link.mac}, and the frame is for {frame.destination}"
            step = self._machine.step(at, "link", f"the frame is for {frame.destination}, not {link.mac}")
            yield replace(lost(reason, step), stray=True)

    def _takes(self, at: LinkName, frame: Frame) -> bool:
        return self._link_kind(at) in ("macvlan", "macvtap", "ipvlan") and self._is_for(at, frame)

    def _is_for(self, at: LinkName, frame: Frame) -> bool:
        """Whether a link beside, or on, this one takes a frame: by its MAC, or (ipvlan) by its address."""
        link = self._machine.link(at)
        if link is None or frame.is_broadcast:
            return link is not None and link.kind in ("macvlan", "macvtap", "ipvlan")
        if link.kind == "ipvlan":
            addresses = {one.address.partition("/")[0] for one in self._topology.addresses(at)}
            return frame.packet.ends.destination in addresses
        return link.mac == frame.destination and link.kind in ("macvlan", "macvtap")

    def _link_kind(self, at: LinkName | None) -> str:
        link = self._machine.link(at) if at is not None else None
        return link.kind if link is not None else ""

    def _runs(self, at: LinkName) -> bool:
        link = self._machine.link(at)
        return link is not None and link.up and bool(link.flags & IFF_RUNNING)


Sender = Callable[[Layer2, LinkName, Link, Frame], Iterator[Way]]
SENDERS: Mapping[str, Sender] = {
    "veth": Layer2._pair, "bridge": Layer2._bridge, "vlan": Layer2._vlan, "macvlan": Layer2._macvlan,
    "macvtap": Layer2._macvlan, "ipvlan": Layer2._macvlan, "bond": Layer2._bond, "dummy": Layer2._dummy,
    "tun": Layer2._outside, "wireguard": Layer2._outside,
    **dict.fromkeys(
        ("vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "ipip", "sit", "ip6tnl"), Layer2._tunnel
    ),
}  # fmt: skip
