"""An IP packet from namespace to namespace: routing, rules, address translation, neighbors, delivery.

The order is that of the kernel: net/ipv4/ip_input.c, ip_forward.c, ip_output.c, and of netfilter's hooks in them.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

from netd.errors import KernelError
from netd.kernel.rtnl.lookup import Flow, Found
from netd.model.key import LinkName
from netd.model.state import IFF_LOOPBACK

from .connections import Connections
from .filters.evaluate import Sight
from .hooks import Hooks
from .layer2 import Layer2
from .machine import Machine
from .packet import Ends, Frame, Packet
from .resolution import Resolution
from .steps import Step, Way, best, lost, unknown

IFF_NOARP = 0x80
#: How dead ends of routes and rules read: fib_props in net/ipv4/fib_semantics.c.
SAYS = {errno.EINVAL: "blackhole", errno.EHOSTUNREACH: "unreachable", errno.EACCES: "prohibit"}
FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
IGNORE_ECHO = {4: "net/ipv4/icmp_echo_ignore_all", 6: "net/ipv6/icmp/echo_ignore_all"}
#: Namespaces that forward one packet, before it counts as a loop; no packet lives longer anyway.
HOPS = 64
LOOPBACK = "lo"


class Layer3:
    """Follows packets; ``connections`` remembers what was translated, for the answers."""

    def __init__(self, machine: Machine, connections: Connections) -> None:
        self._machine = machine
        self._connections = connections
        self._hooks = Hooks(machine)
        self.layer2 = Layer2(machine, self._hooks, connections)
        self._resolution = Resolution(machine, self.layer2, self._hooks)

    # sending ---------------------------------------------------------------------------------------------------

    def send(self, netns: str, packet: Packet, steps: tuple[Step, ...] = (), vrf: LinkName | None = None) -> Way:
        """A packet that a program in this namespace (in that VRF) sends."""
        packet = self._connections.enter(netns, packet)
        try:
            route = self._route(netns, packet, vrf=vrf)
        except KernelError as error:
            return self._unroutable(netns, packet, error).after(steps)
        step = self._route_step(netns, packet, route, vrf=vrf)
        out = self._machine.topology.at(netns, route.hop.index) or LinkName(netns, LOOPBACK)
        before = packet
        more, end = self._hooks.run(netns, "output", families(packet), Sight(packet, "", out.name))
        if end is not None:
            return end.after([*steps, step, *more])
        packet, told = self._translated(netns, packet, "output")
        packet = self._connections.undo_destination(netns, packet)
        if self._hooks.mark is not None:
            packet = replace(packet, mark=self._hooks.mark)
        if (packet.ends, packet.mark) != (before.ends, before.mark):
            try:
                route = self._route(netns, packet, vrf=vrf)
            except KernelError as error:
                return self._unroutable(netns, packet, error).after([*steps, step, *told])
            told = [*told, self._route_step(netns, packet, route)]
        if route.type in DEAD_ENDS:
            return lost(f"the route for {packet.ends.destination} says {route.type}", *steps, step, *told)
        return self._leave(netns, packet, route).after([*steps, step, *told])

    def _route(self, netns: str, packet: Packet, iif: LinkName | None = None, vrf: LinkName | None = None) -> Found:
        ends = packet.ends
        ports = (ends.source_port, ends.port) if packet.protocol != "icmp" else (0, 0)
        places = self._machine.index(iif), self._machine.index(vrf)
        flow = Flow(ends.destination, ends.source, *places, packet.mark, packet.number, *ports)
        return self._machine.route(netns, flow)

    def _route_step(
        self, netns: str, packet: Packet, route: Found, iif: LinkName | None = None, vrf: LinkName | None = None
    ) -> Step:
        destination = packet.ends.destination
        places = self._machine.index(iif), self._machine.index(vrf)
        flow = Flow(destination, packet.ends.source, *places, mark=packet.mark)
        network, table, _ = self._machine.matching(netns, flow)
        out = self._machine.topology.at(netns, route.hop.index)
        shown = f"{destination} is in {network} (table {table}): " if network else ""
        what = f"by {out.name if out is not None else route.type}" if route.type == "unicast" else route.type
        via = f" via {route.hop.via}" if route.hop.via else ""
        key = self._machine.part(netns, f"route/{table}/{network}/") if network else None
        step = self._machine.step(LinkName(netns, ""), "route", f"{shown}{what}{via}", key)
        return step._replace(link=out.name if out is not None else "")

    def _unroutable(self, netns: str, packet: Packet, error: KernelError, iif: LinkName | None = None) -> Way:
        """Why the kernel has no way for a packet."""
        at, destination = LinkName(netns, iif.name if iif is not None else ""), packet.ends.destination
        where, forwards = netns or "the host", self._machine.sysctl(netns, FORWARDING[packet.family]) != "0"
        if error.code == errno.EXDEV:
            reason = f"{where} drops it: no route back to {packet.ends.source} by {at.name} (rp_filter)"
            return lost(reason, self._machine.step(at, "filter", reason))
        if iif is not None and not forwards and error.code == errno.EHOSTUNREACH:
            reason = f"{where} does not forward: {FORWARDING[packet.family].replace('/', '.')} is 0"
        elif error.code in SAYS and not self._is_bad_sender(netns, packet, error):
            reason = f"a route or rule of {where} says {SAYS[error.code]} for {destination}"
        elif error.code == errno.EINVAL:
            reason = f"{where} does not take {packet.ends.source} as the sender of a packet"
        elif error.code == errno.ENETUNREACH:
            reason = f"no route to {destination} in {where}"
        else:
            reason = f"{where} has no way for {destination}: {error}"
        return lost(reason, self._machine.step(at, "route", reason))

    def _is_bad_sender(self, netns: str, packet: Packet, error: KernelError) -> bool:
        """Whether the kernel refuses the sender, not the destination."""
        if error.code != errno.EINVAL or not packet.ends.source:
            return False
        try:
            self._machine.route(netns, Flow(packet.ends.destination, mark=packet.mark))
        except KernelError as other:
            return other.code != errno.EINVAL
        return True

    def _leave(self, netns: str, packet: Packet, route: Found, came: LinkName | None = None) -> Way:
        """Behind routing: the last rules, then the link. ``came``: by which link, where it is forwarded."""
        topology = self._machine.topology
        out = topology.at(netns, route.hop.index)
        if route.type == "local" or out is None:
            out = LinkName(netns, LOOPBACK)
        link = self._machine.link(out)
        if link is None:
            return unknown(f"the link that {netns or 'the host'} would send by is gone")
        sight = Sight(packet, came.name if came is not None else "", out.name)
        steps, end = self._hooks.run(netns, "postrouting", families(packet), sight)
        if end is not None:
            return end.after(steps)
        packet, told = self._translated(netns, packet, "postrouting", out)
        packet = self._connections.undo_source(netns, packet)
        self._connections.leave(netns, packet)
        steps += told
        mtu = min(route.mtu or link.mtu, link.mtu)
        if packet.splits and packet.size > mtu:
            steps.append(self._machine.step(out, "link", f"is sent in fragments: the MTU of {out} is {mtu}"))
            packet = replace(packet, size=mtu)
        if packet.size > mtu and not link.flags & IFF_LOOPBACK:
            text = f"a packet of {packet.size} bytes is larger than the MTU {mtu} of {out}"
            return lost(text, *steps, self._machine.step(out, "link", text))
        if link.flags & IFF_LOOPBACK:
            return self._loop(out, packet).after(steps)
        return self._to_neighbor(out, packet, route.hop.via or packet.ends.destination).after(steps)

    def _loop(self, at: LinkName, packet: Packet) -> Way:
        """By loopback: what was routed when it was sent is not routed again."""
        link = self._machine.link(at)
        if link is None or not link.up:
            return lost(f"{at} is down", self._machine.step(at, "link", "is down"))
        steps, end = self._hooks.run(at.netns, "prerouting", families(packet), Sight(packet, at.name))
        return (end if end is not None else self._deliver(at, packet)).after(steps)

    def _to_neighbor(self, out: LinkName, packet: Packet, address: str) -> Way:
        """By a link to the next host."""
        link = self._machine.link(out)
        assert link is not None
        if link.flags & IFF_NOARP or not link.mac:
            return self._follow(out, Frame(packet, "", ""))
        found = self._resolution.resolve(out, packet, address)
        if isinstance(found, Way):
            return found
        mac, step = found
        return self._follow(out, Frame(packet, link.mac, mac)).after([step])

    def _follow(self, out: LinkName, frame: Frame) -> Way:
        """All ways of a frame, each to its end; the best of them counts."""
        return best(self._ends(self.layer2.transmit(out, frame), out))

    def _ends(self, ways: Iterator[Way], out: LinkName) -> Iterator[Way]:
        nothing = True
        for way in ways:
            nothing = False
            if way.verdict == "delivered" and way.arrived is not None and way.frame is not None:
                yield self.take_in(way.arrived, way.frame.packet).after(way.steps)
            else:
                yield way
        if nothing:
            yield lost(f"nothing takes what {out} sends")

    def source(self, netns: str, destination: str) -> str:
        """The address that the kernel chooses for packets to that destination; "" where it has no route."""
        try:
            return self._machine.route(netns, Flow(destination)).source
        except KernelError:
            return ""

    # receiving -------------------------------------------------------------------------------------------------

    def take_in(self, at: LinkName, packet: Packet) -> Way:
        """A packet that a link hands to IP: for this host, or to be forwarded."""
        netns = at.netns
        packet = self._connections.enter(netns, packet)
        steps, end = self._hooks.run(netns, "prerouting", families(packet), Sight(packet, at.name))
        if end is not None:
            return end.after(steps)
        packet, told = self._translated(netns, packet, "prerouting", at)
        packet = self._connections.undo_destination(netns, packet)
        if self._hooks.mark is not None:
            packet = replace(packet, mark=self._hooks.mark)
        steps += told
        try:
            route = self._route(netns, packet, at)
        except KernelError as error:
            return self._unroutable(netns, packet, error, at).after(steps)
        if route.type == "local":
            return self._deliver(at, packet).after(steps)
        if route.type in DEAD_ENDS:
            return self._unroutable(netns, packet, KernelError(errno.EINVAL), at).after(steps)
        if route.type != "unicast":
            reason = f"{packet.ends.destination} is a {route.type} address in {netns or 'the host'}"
            return unknown(reason, *steps, self._machine.step(at, "route", reason))
        return self._forward(at, packet, route).after(steps)

    def _deliver(self, at: LinkName, packet: Packet) -> Way:
        netns = at.netns
        steps, end = self._hooks.run(netns, "input", families(packet), Sight(packet, at.name))
        if end is not None:
            return end.after(steps)
        packet, told = self._translated(netns, packet, "input", at)
        packet = self._connections.undo_source(netns, packet)
        self._connections.leave(netns, packet)
        if (
            packet.protocol == "icmp"
            and not packet.reply
            and self._machine.sysctl(netns, IGNORE_ECHO[packet.family]) == "1"
        ):
            reason = f"{netns or 'the host'} does not answer pings: {IGNORE_ECHO[packet.family].replace('/', '.')} is 1"
            return lost(reason, *steps, *told, self._machine.step(at, "local", reason))
        key = self._machine.part(netns, f"address/{at.name}/{packet.ends.destination}/")
        step = self._machine.step(at, "local", f"{packet.ends.destination} is an address of {netns or 'the host'}", key)
        frame = Frame(packet, "", "")
        return Way((*steps, *told, step), "delivered", "", at, frame, netns)

    def _forward(self, at: LinkName, packet: Packet, route: Found) -> Way:
        netns, where = at.netns, at.netns or "the host"
        if packet.family == 6 and self._machine.sysctl(netns, FORWARDING[6]) == "0":
            reason = f"{where} does not forward: net.ipv6.conf.all.forwarding is 0"
            return lost(reason, self._machine.step(at, "route", reason))
        step = self._route_step(netns, packet, route, at)
        if packet.ttl <= 1:
            return lost(f"its TTL ends in {where}", step, self._machine.step(at, "route", "the TTL is used up"))
        packet = replace(packet, ttl=packet.ttl - 1)
        out = self._machine.topology.at(netns, route.hop.index)
        sight = Sight(packet, at.name, out.name if out is not None else "")
        steps, end = self._hooks.run(netns, "forward", families(packet), sight)
        if end is not None:
            return end.after([step, *steps])
        return self._leave(netns, packet, route, at).after([step, *steps])

    # translation -----------------------------------------------------------------------------------------------

    def _translated(
        self, netns: str, packet: Packet, hook: str, at: LinkName | None = None
    ) -> tuple[Packet, list[Step]]:
        """What the rules of the hook made of the addresses."""
        found = self._hooks.translation
        if found is None:
            return packet, []
        ends = packet.ends
        if found.kind in ("dnat", "redirect"):
            address = found.address or (
                ends.destination if found.kind == "dnat" else self._own_address(netns, packet, at)
            )
            ends = Ends(ends.source, address, ends.source_port, found.port or ends.port)
            done = frozenset({"dnat"})
        else:
            address = found.address or self._own_address(netns, packet, at)
            ends = Ends(address, ends.destination, found.port or ends.source_port, ends.port)
            done = frozenset({"snat"})
        text = f"{hook}: {packet} becomes {packet.to(ends)} by {self._hooks.translated_by}"
        step = self._machine.step(LinkName(netns, at.name if at is not None else ""), "nat", text)
        return replace(packet, ends=ends, translated=packet.translated | done), [step]

    def _own_address(self, netns: str, packet: Packet, at: LinkName | None) -> str:
        """The address that masquerading takes (of the link it leaves by), or redirecting (of that it came by)."""
        for one in self._machine.topology.addresses(at) if at is not None else ():
            address = one.address.partition("/")[0]
            if (":" in address) == (packet.family == 6) and not address.startswith("fe80:"):
                return address
        return "127.0.0.1" if packet.family == 4 else "::1"


DEAD_ENDS = frozenset({"blackhole", "unreachable", "prohibit"})


def families(packet: Packet) -> tuple[str, str]:
    """The families of rules that see such packets."""
    return ("ip" if packet.family == 4 else "ip6"), "inet"
