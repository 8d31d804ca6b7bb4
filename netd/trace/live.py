"""One marked probe, and which links of a way it was seen on. It changes nothing but what any packet changes."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from netd.capture.recording import Recording, Source
from netd.capture.summary import summary
from netd.errors import KernelError, UsageError
from netd.kernel.kernel import Kernel
from netd.kernel.packets.ring import Packet as Captured
from netd.model.key import LinkName

from .question import Question
from .steps import Step

#: Seconds until the answer must be there, and from the start of the recording to the probe.
PATIENCE, LEAD = 2.0, 0.05
ECHO = {4: (socket.IPPROTO_ICMP, 8), 6: (socket.IPPROTO_ICMPV6, 128)}


class Seen(NamedTuple):
    """A link, and whether it was the packet or its answer."""

    link: LinkName
    answer: bool


def links_of(steps: Iterable[Step]) -> list[LinkName]:
    """The links of a way, each once."""
    return list(dict.fromkeys(LinkName(step.namespace, step.link) for step in steps if step.link))


def probe(kernel: Kernel, question: Question, links: Collection[LinkName]) -> set[Seen]:
    """Sends the packet, and looks at all links at once. UsageError where it cannot be sent."""
    recording = Recording(kernel, [Source(link, ()) for link in links])
    marks: list[bytes] = []
    found: set[Seen] = set()
    named = list(links)
    try:
        for tap in recording.taps:
            with contextlib.suppress(KernelError, OSError):
                tap.open()
        end = time.monotonic() + PATIENCE
        begin = time.monotonic() + LEAD
        with contextlib.ExitStack() as sockets:
            for packets in recording.packets(end):
                if not marks and time.monotonic() > begin:
                    marks = sockets.enter_context(_sent(kernel, question))
                found |= {_seen(named[one.ring], one, question) for one in packets if _is_ours(one, marks)}
            found |= {_seen(named[one.ring], one, question) for one in recording.rest() if _is_ours(one, marks)}
    finally:
        recording.close()
    return found


@contextlib.contextmanager
def _sent(kernel: Kernel, question: Question) -> Iterator[list[bytes]]:
    """Sends it; yields the bytes that it is known by. The socket is open until the answer has come."""
    token = os.urandom(12)
    family = socket.AF_INET6 if ":" in question.destination else socket.AF_INET
    with kernel.open(question.netns) as session:
        kind, protocol = {
            "icmp": (socket.SOCK_RAW, ECHO[6 if family == socket.AF_INET6 else 4][0]),
            "udp": (socket.SOCK_DGRAM, 0),
            "tcp": (socket.SOCK_STREAM, 0),
        }[question.protocol]
        one = session.inside(lambda: socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol))
    with one:
        try:
            if question.source:
                one.bind((question.source, 0))
            yield _send(one, question, token, family)
        except OSError as error:
            raise UsageError(f"the probe could not be sent: {error.strerror}") from None


def _send(one: socket.socket, question: Question, token: bytes, family: int) -> list[bytes]:
    one.setblocking(False)
    target = (question.destination, question.port)
    if question.protocol == "tcp":
        one.connect_ex(target)
        source = one.getsockname()[1]
        return [struct.pack("!HH", source, question.port), struct.pack("!HH", question.port, source)]
    data = token
    if question.protocol == "icmp":
        kind = ECHO[6 if family == socket.AF_INET6 else 4][1]
        data = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, 1) + token
        data = data[:2] + struct.pack("!H", checksum(data)) + data[4:]
        target = (question.destination, 0)
    one.sendto(data, target)
    return [token]


def checksum(data: bytes) -> int:
    """Of ICMP, RFC 1071; the kernel computes that of ICMPv6."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _is_ours(packet: Captured, marks: Collection[bytes]) -> bool:
    return any(mark in packet.data for mark in marks)


def _seen(link: LinkName, packet: Captured, question: Question) -> Seen:
    line = summary(packet.data)
    answer = "echo reply" in line or bool(question.port and f":{question.port} > " in line)
    return Seen(link, answer)
