"""Which MAC an address of the same segment has: as the neighbor table says, else as ARP or ND would find out."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterable, Set
from dataclasses import replace

from netd.errors import KernelError
from netd.kernel.rtnl.lookup import Flow
from netd.model.key import LinkName
from netd.model.state import IFA_F_TENTATIVE

from .filters.evaluate import Sight
from .hooks import Hooks
from .layer2 import Layer2
from .machine import Machine
from .packet import BROADCAST, Ends, Frame, Packet
from .steps import Step, Way, lost, unknown


class Resolution:
    """Nothing is sent: the question is followed like any other frame."""

    def __init__(self, machine: Machine, layer2: Layer2, hooks: Hooks) -> None:
        self._machine = machine
        self._layer2 = layer2
        self._hooks = hooks
        self._known: dict[tuple[LinkName, str], tuple[str, Step] | Way] = {}
        #: Who asks for an address tells its own: the link that is asked, and the address and MAC that it learns.
        self._heard: dict[tuple[LinkName, str], str] = {}

    def resolve(self, out: LinkName, packet: Packet, address: str) -> tuple[str, Step] | Way:
        """(the MAC, the step that tells it), or the end of the way."""
        if ipaddress.ip_address(address).is_multicast:
            return group_mac(address), self._machine.step(out, "neighbor", f"{address} is a group")
        found = self._machine.neighbor(out, address)
        if found is not None and found.mac:
            key = self._machine.part(out.netns, f"neighbor/{out.name}/{address}")
            return found.mac, self._machine.step(out, "neighbor", f"{address} is at {found.mac}", key)
        if (out, address) in self._heard:
            mac = self._heard[out, address]
            return mac, self._machine.step(out, "neighbor", f"{address} has asked before: it is at {mac}")
        if (out, address) not in self._known:
            self._known[out, address] = self._ask(out, packet, address)
        return self._known[out, address]

    def _ask(self, out: LinkName, packet: Packet, address: str) -> tuple[str, Step] | Way:
        """The question to all, and the answer back."""
        link = self._machine.link(out)
        assert link is not None
        question = self._question(out, packet, address)
        end = self._filtered(out, question, "output")
        if end is not None:
            return end
        failed: Way | None = None
        holders = self._around(self._machine.topology.holders(address))
        for way in self._layer2.transmit(out, question):
            if way.verdict == "delivered" and way.arrived is not None:
                answer = self._answer(way.arrived, out, question)
                if answer is True:
                    self._heard[way.arrived, question.packet.ends.source] = link.mac
                    other = self._machine.link(way.arrived)
                    mac = other.mac if other is not None else ""
                    text = f"{address} would be asked for, and {way.arrived} answers: {mac}"
                    return mac, self._machine.step(out, "neighbor", text)
                failed = answer if isinstance(answer, Way) else failed
            elif way.verdict != "lost" or way.reason.startswith("dropped") or _ends_at(way, holders):
                failed = way
        text = f"no neighbor {address} on {out}"
        if failed is not None:
            if failed.verdict == "lost":
                text = f"{text}: {failed.reason}"
                return lost(text, self._machine.step(out, "neighbor", text))
            return failed.after([self._machine.step(out, "neighbor", f"{address} is not known here, and is asked for")])
        return lost(text, self._machine.step(out, "neighbor", f"{text}: nobody there answers for it"))

    def _around(self, holders: Iterable[LinkName]) -> set[LinkName]:
        """The links that have an address, and the other ends of these: what ends there kept it from being found."""
        found = set(holders)
        return found | {peer for at in found if (peer := self._machine.topology.peer(at)) is not None}

    def _question(self, out: LinkName, packet: Packet, address: str) -> Frame:
        link = self._machine.link(out)
        assert link is not None
        source = self._source(out, packet)
        if ":" not in address:
            return Frame(Packet(Ends(source, address), "icmp", 28), link.mac, BROADCAST, arp=True)
        group = solicited_node(address)
        asked = Packet(Ends(source, address), "icmp", 72, 255, discovery=True)
        return Frame(asked, link.mac, group_mac(group))

    def _source(self, out: LinkName, packet: Packet) -> str:
        """The address that the question comes from."""
        own = [one.address.partition("/")[0] for one in self._machine.topology.addresses(out)]
        if packet.ends.source in own:
            return packet.ends.source
        same = [each for each in own if (":" in each) == (packet.family == 6)]
        return same[0] if same else packet.ends.source

    def _answer(self, at: LinkName, out: LinkName, question: Frame) -> bool | Way:
        """Whether a link that heard the question answers, and the answer arrives; a Way says why it does not arrive."""
        owns = self._owns(at, question)
        if owns is not True:
            return owns
        link, asking = self._machine.link(at), self._machine.link(out)
        assert link is not None and asking is not None
        answer = replace(question.packet.to(question.packet.ends.reversed()), reply=True)
        back = replace(question, packet=answer, source=link.mac, destination=asking.mac)
        end = self._filtered(at, question, "input") or self._filtered(at, back, "output")
        if end is not None:
            return end
        failed: Way | None = None
        for way in self._layer2.transmit(at, back):
            if way.arrived == out:
                return self._filtered(out, back, "input") or True
            failed = way if way.verdict != "delivered" else failed
        return failed if failed is not None else unknown(f"the answer of {at} does not reach {out}")

    def _filtered(self, at: LinkName, frame: Frame, hook: str) -> Way | None:
        """The end of a question, or of an answer, in the rules of a host; None: it passes."""
        families = ("ip6", "inet") if frame.packet.discovery else ("arp",)
        names = (at.name, "") if hook == "input" else ("", at.name)
        steps, end = self._hooks.run(at.netns, hook, families, Sight(frame.packet, *names, arp=frame.arp))
        return end.after(steps) if end is not None else None

    def _owns(self, at: LinkName, question: Frame) -> bool | Way:
        """Whether the host of that link answers for the address: ARP for any of its own, ND for those of the link."""
        ends = question.packet.ends
        if question.arp:
            link = self._machine.link(at)
            ignore = self._machine.sysctl(at.netns, f"net/ipv4/conf/{at.name}/arp_ignore")
            everywhere = self._machine.sysctl(at.netns, "net/ipv4/conf/all/arp_ignore")
            if max(ignore or "0", everywhere or "0") != "0" and not self._has(at, ends.destination):
                return False
            try:
                flow = Flow(ends.destination, ends.source, link.index if link is not None else 0)
                return self._machine.route(at.netns, flow).type == "local"
            except KernelError as error:
                if error.code in (errno.EXDEV, errno.EINVAL) and self._has_anywhere(at.netns, ends.destination):
                    reason = f"{at.netns or 'the host'} has no route back to {ends.source} by {at.name} (rp_filter)"
                    return lost(reason, self._machine.step(at, "filter", reason))
                return False
        return self._has(at, ends.destination)

    def _has_anywhere(self, netns: str, address: str) -> bool:
        return any(at.netns == netns for at in self._machine.topology.holders(address))

    def _has(self, at: LinkName, address: str) -> bool:
        found = self._machine.topology.addresses(at)
        return any(one.address.partition("/")[0] == address and not one.flags & IFA_F_TENTATIVE for one in found)


def _ends_at(way: Way, links: Set[LinkName]) -> bool:
    """Whether the last step of a way is at one of these links."""
    return bool(way.steps) and LinkName(way.steps[-1].namespace, way.steps[-1].link) in links


def solicited_node(address: str) -> str:
    """The group in which an IPv6 address is asked for, RFC 4291, 2.7.1."""
    return str(
        ipaddress.IPv6Address(
            int(ipaddress.IPv6Address("ff02::1:ff00:0")) | int(ipaddress.IPv6Address(address)) & 0xFFFFFF
        )
    )


def group_mac(address: str) -> str:
    """The MAC of a group, RFC 1112, 6.4 and RFC 2464, 7."""
    found = ipaddress.ip_address(address)
    if found.version == 4:
        return (b"\x01\x00\x5e" + (int(found) & 0x7FFFFF).to_bytes(3, "big")).hex(":")
    return (b"\x33\x33" + found.packed[-4:]).hex(":")
