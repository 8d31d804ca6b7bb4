"""What a bridge does with a frame: net/bridge/br_input.c, br_forward.c, br_vlan.c."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from netd.model.key import LinkName
from netd.model.state import IFF_RUNNING

from .connections import Connections
from .filters.evaluate import Sight
from .hooks import Hooks
from .machine import BROADCAST as BROADCAST_FLAG
from .machine import FLOOD, HAIRPIN, ISOLATED, MULTICAST, STATE, Machine
from .packet import BROADCAST, Frame
from .steps import Step, Way, lost

#: BR_STATE_*, include/uapi/linux/if_bridge.h.
STATES = {0: "disabled", 1: "listening", 2: "learning", 3: "forwarding", 4: "blocking"}
FORWARDING = 3
CALL_IPTABLES = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
Follow = Callable[[LinkName, Frame], Iterator[Way]]


class Bridges:
    """``transmit`` sends a frame by a port, ``arrive`` hands it to the IP of the bridge."""

    def __init__(
        self, machine: Machine, hooks: Hooks, connections: Connections, transmit: Follow, arrive: Follow
    ) -> None:
        self._machine = machine
        self._topology = machine.topology
        self._hooks = hooks
        self._connections = connections
        self._transmit = transmit
        self._arrive = arrive

    def takes_tags(self, at: LinkName) -> bool:
        """Whether a link is the port of a bridge, which looks at tags by itself."""
        master = self._topology.master(at)
        link = self._machine.link(master) if master is not None else None
        return link is not None and link.kind == "bridge"

    def from_itself(self, bridge: LinkName, frame: Frame) -> Iterator[Way]:
        """A frame that the machine sends by the bridge."""
        yield from self._forward(bridge, None, frame)

    def from_port(self, bridge: LinkName, port: LinkName, frame: Frame) -> Iterator[Way]:
        """A frame that a port receives."""
        link = self._machine.link(bridge)
        if link is None or not link.up:
            yield lost(f"the bridge {bridge} is down", self._machine.step(bridge, "bridge", "is down"))
            return
        state = self._state(port)
        if state != FORWARDING:
            reason = f"the port {port} of {bridge} is {STATES.get(state, state)}"
            yield lost(reason, self._machine.step(port, "bridge", f"is {STATES.get(state, state)}"))
            return
        yield from self._forward(bridge, port, frame)

    def _state(self, port: LinkName) -> int:
        return int.from_bytes(self._machine.port(port).get(STATE, b"\3")[:1], "little")

    def _flag(self, port: LinkName, number: int, default: bool) -> bool:
        found = self._machine.port(port).get(number)
        return default if found is None else any(found)

    # forwarding ------------------------------------------------------------------------------------------------

    def _forward(self, bridge: LinkName, port: LinkName | None, frame: Frame) -> Iterator[Way]:
        vlan, inside = self._classified(bridge, port or bridge, frame)
        if inside is None:
            where = f"port {port}" if port is not None else f"bridge {bridge}"
            reason = f"the {where} is not in VLAN {vlan}" if vlan else f"the {where} takes no frames without a tag"
            yield lost(reason, self._machine.step(port or bridge, "vlan", reason))
            return
        link = self._machine.link(bridge)
        assert link is not None
        known = None if inside.is_broadcast else self._machine.learned(bridge, inside.destination, vlan)
        own = port is not None and (inside.destination == link.mac or (known is not None and known.local))
        if own:
            yield from self._to_itself(bridge, port, inside, vlan)
            return
        target = self._topology.at(bridge.netns, known.number) if known is not None else None
        if target is not None and target != bridge:
            step = self._machine.step(bridge, "bridge", f"knows {inside.destination} at its port {target.name}")
            for way in self._leave(bridge, port, target, inside, vlan):
                yield way.after([step])
            return
        yield from self._flood(bridge, port, inside, vlan)

    def _flood(self, bridge: LinkName, port: LinkName | None, frame: Frame, vlan: int) -> Iterator[Way]:
        everyone = frame.is_broadcast
        text = (
            "sends a broadcast to all ports"
            if everyone
            else f"does not know {frame.destination}: sends it to all ports"
        )
        step = self._machine.step(bridge, "bridge", text)
        flag = BROADCAST_FLAG if frame.destination == BROADCAST else MULTICAST if everyone else FLOOD
        count = 0
        for other in self._topology.ports(bridge):
            if other == port or not self._flag(other, flag, True):
                continue
            count += 1
            for way in self._leave(bridge, port, other, frame, vlan):
                yield way.after([step])
        if everyone and port is not None:
            count += 1
            for way in self._to_itself(bridge, port, frame, vlan):
                yield way.after([step])
        if not count:
            yield lost(f"no port of {bridge} leads on", step)

    def _to_itself(self, bridge: LinkName, port: LinkName | None, frame: Frame, vlan: int) -> Iterator[Way]:
        if self._machine.filters_vlans(bridge) and not self._is_in(bridge, vlan):
            reason = f"the bridge {bridge} itself is not in VLAN {vlan}"
            yield lost(reason, self._machine.step(bridge, "vlan", reason))
            return
        step = self._machine.step(bridge, "bridge", f"takes it in, from its port {port.name if port else bridge.name}")
        tagged, takers = self._tagged(bridge, frame, vlan), [bridge]
        if tagged.tags:
            number, tagged = tagged.tags[-1], replace(tagged, tags=tagged.tags[:-1])
            takers = [
                each for each in self._topology.carried(bridge) if self._topology.options(each).get("id") == number
            ]
        for taker in takers:
            for way in self._arrive(taker, tagged):
                yield way.after([step])

    def _leave(
        self, bridge: LinkName, port: LinkName | None, other: LinkName, frame: Frame, vlan: int
    ) -> Iterator[Way]:
        """By one port."""
        refusal = self._refusal(bridge, port, other, frame, vlan)
        if refusal:
            yield lost(refusal, self._machine.step(other, "bridge", refusal))
            return
        if port is not None:
            if self._is_seen_by_ip(bridge, frame):
                frame = self._tracked(bridge.netns, frame)
            steps, end = self._filtered(bridge, port, other, frame)
            if end is not None:
                yield end.after(steps)
                return
        yield from self._transmit(other, self._tagged(other, frame, vlan))

    def _refusal(self, bridge: LinkName, port: LinkName | None, other: LinkName, frame: Frame, vlan: int) -> str:
        state = self._state(other)
        if state != FORWARDING and self._unplugged(other):
            return self._unplugged(other)
        if state != FORWARDING:
            return f"the port {other} of {bridge} is {STATES.get(state, state)}"
        if other == port and not self._flag(other, HAIRPIN, False):
            return f"{bridge} sends nothing back out of the port {other} by which it came"
        if port is not None and self._flag(port, ISOLATED, False) and self._flag(other, ISOLATED, False):
            return f"the ports {port} and {other} are isolated from each other"
        if self._machine.filters_vlans(bridge) and not self._is_in(other, vlan):
            return f"the port {other} is not in VLAN {vlan}"
        link = self._machine.link(other)
        if link is not None and frame.size > link.mtu:
            return f"a packet of {frame.size} bytes is larger than the MTU {link.mtu} of the port {other}"
        return ""

    def _unplugged(self, port: LinkName) -> str:
        """Why a port has no carrier, "" where it has one."""
        link, peer = self._machine.link(port), self._topology.peer(port)
        if link is None or link.flags & IFF_RUNNING:
            return ""
        other = self._machine.link(peer) if peer is not None else None
        if not link.up:
            return f"{port} is down"
        return f"{port} has no carrier" + (f": {peer} is down" if other is not None and not other.up else "")

    def _filtered(
        self, bridge: LinkName, port: LinkName, other: LinkName, frame: Frame
    ) -> tuple[list[Step], Way | None]:
        """The rules for bridged packets: those of family bridge, and with br_netfilter those of IP."""
        sight = Sight(
            frame.packet, port.name, other.name, frame.source, frame.destination, bridge=bridge.name, arp=frame.arp
        )
        steps, end = self._hooks.run_all(bridge.netns, ("prerouting", "forward", "postrouting"), ("bridge",), sight)
        if (
            end is None
            and not frame.arp
            and self._machine.sysctl(bridge.netns, CALL_IPTABLES[frame.packet.family]) == "1"
        ):
            family = "ip" if frame.packet.family == 4 else "ip6"
            bridged = replace(sight, iif=bridge.name, oif=bridge.name)
            more, end = self._hooks.run_all(bridge.netns, ("forward",), (family, "inet"), bridged)
            steps += more
        return steps, end

    def _is_seen_by_ip(self, bridge: LinkName, frame: Frame) -> bool:
        """Whether br_netfilter hands bridged packets to the rules, and the connections, of IP."""
        return not frame.arp and self._machine.sysctl(bridge.netns, CALL_IPTABLES[frame.packet.family]) == "1"

    def _tracked(self, netns: str, frame: Frame) -> Frame:
        """An answer that is bridged back gets the sender that its question was sent to."""
        packet = self._connections.enter(netns, frame.packet)
        return replace(frame, packet=self._connections.undo_source(netns, packet))

    # VLANs -----------------------------------------------------------------------------------------------------

    def _classified(self, bridge: LinkName, at: LinkName, frame: Frame) -> tuple[int, Frame | None]:
        """(the VLAN of a frame, the frame without its tag); None: it is not taken in."""
        if not self._machine.filters_vlans(bridge):
            return 0, frame
        if frame.tags:
            vlan = frame.tags[-1]
            return vlan, replace(frame, tags=frame.tags[:-1]) if self._is_in(at, vlan) else None
        own = next((one.id for one in self._machine.vlans(at) if one.pvid), 0)
        return own, frame if own else None

    def _is_in(self, at: LinkName, vlan: int) -> bool:
        return any(one.id == vlan for one in self._machine.vlans(at))

    def _tagged(self, at: LinkName, frame: Frame, vlan: int) -> Frame:
        if not vlan or any(one.id == vlan and one.untagged for one in self._machine.vlans(at)):
            return frame
        return replace(frame, tags=(*frame.tags, vlan))
