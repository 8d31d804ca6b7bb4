"""Packets in packets: what a tunnel sends outside, and where it comes out again on this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netd.model.key import LinkName
from netd.model.state import Link

from .layer3 import Layer3
from .machine import Machine
from .packet import ETHERNET_HEADER, IPV4_HEADER, IPV6_HEADER, VLAN_TAG, Ends, Frame, Packet
from .resolution import group_mac
from .steps import Step, Way, lost, unknown

#: Bytes of the header between the outer IP header and what is inside; which tunnels carry Ethernet frames.
HEADERS = {
    "vxlan": 16, "geneve": 16, "gre": 4, "gretap": 4, "ip6gre": 4, "ip6gretap": 4, "ipip": 0, "sit": 0, "ip6tnl": 8,
}  # fmt: skip
ETHERNET = frozenset({"vxlan", "geneve", "gretap", "ip6gretap"})
UDP = frozenset({"vxlan", "geneve"})
PROTOCOLS = {"vxlan": "udp", "geneve": "udp", "ipip": "ipip", "sit": "sit", "ip6tnl": "ipip"}
#: Any port: the kernel chooses the source port by the inner packet.
SOURCE_PORT = 49152


class Tunnels:
    """Follows the outer packets by ``layer3``, with connections of their own."""

    def __init__(self, machine: Machine, layer3: Layer3) -> None:
        self._machine = machine
        self._topology = machine.topology
        self._layer3 = layer3

    def follow(self, at: LinkName, link: Link, frame: Frame) -> Iterator[Way]:
        """The ways of a frame that a tunnel sends."""
        outer, options = self._topology.outer(at), self._topology.options(at)
        if outer is None:
            yield unknown(f"the packets of {at} leave in a namespace without a name")
            return
        targets = self._targets(at, link, options, frame)
        if not targets:
            reason = f"{at} has no entry for {frame.destination}, and none for all others (flood entry)"
            yield lost(reason, self._machine.step(at, "tunnel", reason))
            return
        for target in targets:
            yield from self._to(at, link, options, frame, outer, target)

    def _targets(self, at: LinkName, link: Link, options: Mapping[str, Any], frame: Frame) -> list[str]:
        if link.kind != "vxlan":
            return [str(options["remote"])] if options.get("remote") else []
        known = "" if frame.is_broadcast or not frame.destination else self._machine.remote(at, frame.destination)
        if known:
            return [known]
        return self._machine.flood_targets(at)

    def _to(
        self, at: LinkName, link: Link, options: Mapping[str, Any], frame: Frame, outer: str, target: str
    ) -> Iterator[Way]:
        packet = self._outer_packet(link, options, frame, outer, target)
        told = f"VNI {options['vni']}" if options.get("vni") is not None else link.kind
        step = self._machine.step(at, "tunnel", f"is packed ({told}) for {target}: {packet.size} bytes outside")
        if ipaddress.ip_address(target).is_multicast:
            yield from self._to_group(at, options, frame, packet, target, step)
            return
        way = self._layer3.send(outer, packet)
        if way.verdict != "delivered" or way.frame is None:
            yield way.after([step])
            return
        yield from self._unpack(way.namespace, link, options, way, frame, step)

    def _outer_packet(self, link: Link, options: Mapping[str, Any], frame: Frame, outer: str, target: str) -> Packet:
        version = ipaddress.ip_address(target).version
        size = frame.packet.size + HEADERS[link.kind] + (IPV4_HEADER if version == 4 else IPV6_HEADER)
        size += ETHERNET_HEADER + VLAN_TAG * len(frame.tags) if link.kind in ETHERNET else 0
        ports = (SOURCE_PORT, int(options.get("port") or 0)) if link.kind in UDP else (0, 0)
        source = str(options.get("local") or "")
        source = source or self._layer3.source(outer, target)
        protocol = PROTOCOLS.get(link.kind, "gre")
        splits = link.kind in UDP and options.get("df", "unset") in ("unset", None)
        return Packet(Ends(source, target, *ports), protocol, size, int(options.get("ttl") or 64), splits=splits)

    def _to_group(
        self, at: LinkName, options: Mapping[str, Any], frame: Frame, packet: Packet, group: str, step: Step
    ) -> Iterator[Way]:
        below = self._topology.carrier(at)
        link = self._machine.link(below) if below is not None else None
        if below is None or link is None:
            yield unknown(f"by which link {at} sends to {group} cannot be told", step)
            return
        for way in self._layer3.layer2.transmit(below, Frame(packet, link.mac, group_mac(group))):
            if way.verdict != "delivered" or way.arrived is None:
                yield way.after([step])
                continue
            for other in self._others(at, options):
                if self._topology.carrier(other) == way.arrived and group in self._topology.far_ends(other):
                    yield from self._come_out(other, frame, (step, *way.steps))

    def _unpack(
        self, netns: str, link: Link, options: Mapping[str, Any], way: Way, frame: Frame, step: Step
    ) -> Iterator[Way]:
        """The packet is at its target: the tunnel there takes it."""
        assert way.frame is not None
        ends = way.frame.packet.ends
        for other in self._topology.all_links():
            there = self._machine.link(other)
            if there is None or there.kind != link.kind or not there.up or self._topology.outer(other) != netns:
                continue
            if self._fits(there.kind, options, self._topology.options(other), ends, self._topology.far_ends(other)):
                yield from self._come_out(other, frame, (step, *way.steps))
                return
        reason = f"no {link.kind} in {netns or 'the host'} takes it there"
        yield lost(reason, step, *way.steps, self._machine.step(LinkName(netns, ""), "tunnel", reason))

    def _fits(
        self, kind: str, mine: Mapping[str, Any], other: Mapping[str, Any], ends: Ends, remotes: Iterable[str]
    ) -> bool:
        if other.get("local") and str(other["local"]) != ends.destination:
            return False
        if kind == "vxlan":
            return other.get("vni") == mine.get("vni") and other.get("port") == mine.get("port")
        if other.get("remote") and str(other["remote"]) != ends.source:
            return False
        if kind == "geneve":
            return other.get("vni") == mine.get("vni") and other.get("port") == mine.get("port")
        return all(
            other.get(key) == mine.get(back) for key, back in (("ikey", "okey"), ("key", "key")) if other.get(key)
        )

    def _others(self, at: LinkName, options: Mapping[str, Any]) -> Iterator[LinkName]:
        for other in self._topology.all_links():
            link = self._machine.link(other)
            if other != at and link is not None and link.kind == "vxlan" and link.up:
                there = self._topology.options(other)
                if (there.get("vni"), there.get("port")) == (options.get("vni"), options.get("port")):
                    yield other

    def _come_out(self, other: LinkName, frame: Frame, steps: tuple[Step, ...]) -> Iterator[Way]:
        step = self._machine.step(other, "tunnel", f"comes out of {other}")
        for way in self._layer3.layer2.receive(other, frame):
            yield way.after([*steps, step])
