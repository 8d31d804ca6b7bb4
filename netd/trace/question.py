"""From where to where: namespaces, addresses and ports as they are typed; and the answer."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from netd.errors import KernelError, UsageError
from netd.kernel.rtnl.lookup import Flow
from netd.model.key import HOST, LinkName

from .connections import Connections
from .layer3 import Layer3
from .machine import Machine
from .packet import Ends, Packet
from .steps import Answer, Way, lost
from .tunnels import Tunnels

#: The source port of a client, any of net.ipv4.ip_local_port_range.
CLIENT_PORT = 40000
HOST_WORDS = frozenset({"", "host"})


@dataclass(frozen=True, slots=True)
class Question:
    """``size``: bytes of the IP packet."""

    netns: str
    source: str
    destination: str
    port: int = 0
    protocol: str = "icmp"
    size: int = 84


def ask(machine: Machine, question: Question) -> Answer:
    """Follows the packet, and its answer."""
    layer3 = Layer3(machine, Connections())
    layer3.layer2.tunnel = Tunnels(machine, layer3).follow
    netns, source = question.netns, question.source
    if not source:
        try:
            source = machine.route(netns, Flow(question.destination)).source
        except KernelError:
            source = ""  # the way ends at the first step, which says why
    ports = (CLIENT_PORT, question.port) if question.protocol != "icmp" else (0, 0)
    packet = Packet(Ends(source, question.destination, *ports), question.protocol, question.size)
    step = machine.step(LinkName(netns, ""), "source", f"{netns or 'the host'} sends {packet}")
    forth = layer3.send(netns, packet, (step,))
    if forth.verdict != "delivered" or forth.frame is None:
        return Answer(forth, None)
    arrived = forth.frame.packet
    answer = replace(arrived, ends=arrived.ends.reversed(), reply=True, ttl=64, mark=0)
    begin = machine.step(LinkName(forth.namespace, ""), "source", f"{forth.namespace or 'the host'} answers {answer}")
    back = layer3.send(forth.namespace, answer, (begin,), machine.vrf(forth.arrived))
    return Answer(forth, checked(back, netns))


def checked(back: Way, netns: str) -> Way:
    """The answer has to come to who has asked."""
    if back.verdict == "delivered" and back.namespace != netns:
        where = back.namespace or "the host"
        return lost(f"the answer comes to {where}, not to {netns or 'the host'}", *back.steps)
    return back


def question_of(machine: Machine, begin: str, end: str, protocol: str, size: int) -> Question:
    """FROM and TO[:PORT] as they are typed. UsageError names what is not there."""
    target, port = split_port(end)
    if port and protocol == "icmp":
        protocol = "tcp"
    if not port and protocol != "icmp":
        raise UsageError(f"{protocol} needs a port: write {end}:PORT")
    netns, source = origin(machine, begin)
    destination = destination_of(machine, target, netns, 6 if ":" in source else 4 if source else 0)
    if source and (":" in source) != (":" in destination):
        raise UsageError(f"{source} and {destination} are of different families")
    return Question(netns, source, destination, port, protocol, size)


def split_port(text: str) -> tuple[str, int]:
    """ "10.0.0.1:80", "[fd00::1]:80", "web:80", or without a port."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        return text, 0
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"'{text}': a port is a number from 1 to 65535")
    return address, int(port or 0)


def origin(machine: Machine, text: str) -> tuple[str, str]:
    """(namespace, address or "")."""
    known = machine.topology.namespaces
    if text in known or text in HOST_WORDS:
        return (text if text in known else HOST), ""
    if is_address(text):
        address = str(ipaddress.ip_address(text))
        holders = machine.topology.holders(address)
        if not holders:
            raise UsageError(f"no namespace of this machine has the address {address}")
        return holders[0].netns, address
    raise UsageError(f"there is no namespace '{text}' ('ip netns' lists them), and it is no address")


def destination_of(machine: Machine, text: str, begin: str, family: int) -> str:
    """The address that is meant: of a namespace, the one that is nearest to where the packet begins."""
    if is_address(text):
        return str(ipaddress.ip_address(text))
    known = machine.topology.namespaces
    if text not in known and text not in HOST_WORDS:
        raise UsageError(f"there is no namespace '{text}' ('ip netns' lists them), and it is no address")
    found = [each for each in addresses_of(machine, text if text in known else HOST) if family in (0, version(each))]
    if not found:
        raise UsageError(f"{text or 'the host'} has no address to send to")
    return min(found, key=lambda address: distance(machine, begin, address))


def addresses_of(machine: Machine, netns: str) -> list[str]:
    """The addresses of a namespace that others can send to."""
    found = [
        one.address.partition("/")[0] for at in machine.topology.links(netns) for one in machine.topology.addresses(at)
    ]
    return [each for each in found if not (ipaddress.ip_address(each).is_loopback or each.startswith("fe80:"))]


def distance(machine: Machine, netns: str, address: str) -> int:
    """0 on the same link, 1 behind a gateway, 2 without a route."""
    try:
        return 1 if machine.route(netns, Flow(address)).hop.via else 0
    except KernelError:
        return 2


def version(address: str) -> int:
    """4 or 6."""
    return ipaddress.ip_address(address).version


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
