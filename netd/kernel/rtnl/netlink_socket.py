"""A request socket of rtnetlink: batches of requests, and dumps that are received completely before decoding.

netlink(7). A socket keeps the namespace it was made in alive: close it as soon as the answers are there.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netd.errors import KernelError, kernel_error
from netd.model.state import attributes

from . import wire
from .wire import Request

HEADER = struct.Struct("=IHHII")
#: Messages per send: their acks and echoes must fit the receive buffer.
PORTION = 64
RECEIVE_BUFFER = 4 << 20
LARGEST = 1 << 18
DUMP_TRIES = 50
#: The last message of a dump is within so many bytes of its end; its type, as it is in a header.
LAST, ENDS = 512, tuple(struct.pack("=H", kind) for kind in (wire.NLMSG_DONE, wire.NLMSG_ERROR))


class Message(NamedTuple):
    """One message from the kernel: type, flags, sequence number, and what follows the header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram; a truncated tail is dropped."""
    at, end = 0, len(data)
    while at + 16 <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        if length < 16 or at + length > end:
            return
        yield Message(kind, flags, sequence, data[at + 16 : at + length])
        at += (length + 3) & ~3


def refusal(message: Message) -> KernelError | None:
    """The error in an NLMSG_ERROR or NLMSG_DONE, with the kernel's words; None: it is an ack."""
    if len(message.body) < 4:
        return None
    code = -struct.unpack_from("=i", message.body)[0]
    if code <= 0:
        return None
    words = ""
    if message.flags & wire.NLM_F_ACK_TLVS:
        start = 4
        if message.kind == wire.NLMSG_ERROR:
            capped = message.flags & wire.NLM_F_CAPPED or len(message.body) < 8
            start = 20 if capped else 4 + ((struct.unpack_from("=I", message.body, 4)[0] + 3) & ~3)
        found = attributes(message.body[start:])
        words = found.get(wire.NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return kernel_error(code, words)


class Rtnl:
    """A socket in the namespace of the calling thread at the time it is made."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0
        self._tuned = False

    def close(self) -> None:
        """Closes the socket, which keeps the namespace alive."""
        self.socket.close()

    def cookie(self) -> int:
        """The identity of the namespace (SO_NETNS_COOKIE, Linux 5.14)."""
        return cookie_of(self.socket)

    def _tune(self) -> None:
        if self._tuned:
            return
        self._tuned = True
        for option in (wire.NETLINK_CAP_ACK, wire.NETLINK_EXT_ACK, wire.NETLINK_GET_STRICT_CHK):
            self.socket.setsockopt(wire.SOL_NETLINK, option, 1)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, wire.SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def request(self, requests: Sequence[Request]) -> list[tuple[KernelError | None, list[bytes]]]:
        """Sends all, in order, and answers for each: (error or None, the messages that it was answered with)."""
        self._tune()
        answers: list[tuple[KernelError | None, list[bytes]]] = []
        for start in range(0, len(requests), PORTION):
            answers += self._portion(requests[start : start + PORTION])
        return answers

    def atomic(self, requests: Sequence[Request]) -> list[tuple[KernelError | None, list[bytes]]]:
        """As ``request``, in one single send: the process cannot end between two of them."""
        self._tune()
        return self._portion(requests)

    def _portion(self, requests: Sequence[Request]) -> list[tuple[KernelError | None, list[bytes]]]:
        first = self._sequence + 1
        batch = bytearray()
        for kind, flags, body in requests:
            self._sequence += 1
            flags |= wire.NLM_F_REQUEST | wire.NLM_F_ACK
            batch += HEADER.pack(16 + len(body), kind, flags, self._sequence, 0) + body + bytes(-len(body) & 3)
        lost = kernel_error(errno.ENOBUFS, "the kernel's answer was lost")
        errors: list[KernelError | None] = [lost] * len(requests)
        replies: list[list[bytes]] = [[] for _ in requests]
        try:
            self.socket.send(batch)
        except OSError as error:
            refused = kernel_error(error.errno or errno.EIO, "sending to rtnetlink")
            return [(refused, []) for _ in requests]
        waiting, patient = len(requests), True
        while waiting:
            try:
                data = self.socket.recv(LARGEST)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    # The kernel works synchronously: all answers that were not lost are in the queue now.
                    self.socket.settimeout(0)
                    patient = False
                    continue
                break
            for message in messages(data):
                place = message.sequence - first
                if not 0 <= place < len(requests):
                    continue
                if message.kind == wire.NLMSG_ERROR:
                    errors[place] = refusal(message)
                    waiting -= 1
                else:
                    replies[place].append(message.body)
        if not patient:
            self.socket.settimeout(None)
        return list(zip(errors, replies, strict=True))

    def get(self, request: Request) -> bytes | None:
        """One object; None where there is none (ENODEV, ENOENT). KernelError otherwise."""
        error, replies = self.request([request])[0]
        if error is not None and error.code not in (errno.ENODEV, errno.ENOENT):
            raise error
        return replies[0] if error is None and replies else None

    def dump(self, kind: int, body: bytes, needle: bytes = b"") -> list[bytes]:
        """All objects; [] where the kernel says that there is no such table or link.

        Everything is received first: a slow reader makes IPv6 routes repeat themselves. A dump that was interrupted by
        a change is repeated. ``needle``: datagrams without these bytes are not looked into.
        """
        self._tune()
        for _ in range(DUMP_TRIES):
            found = self._dump_once(kind, body, needle)
            if found is not None:
                return found
        raise kernel_error(errno.EAGAIN, "the state kept changing while it was read")

    def _dump_once(self, kind: int, body: bytes, needle: bytes) -> list[bytes] | None:
        """None: it must be repeated."""
        self._sequence += 1
        flags = wire.NLM_F_REQUEST | wire.NLM_F_DUMP
        try:
            self.socket.send(HEADER.pack(16 + len(body), kind, flags, self._sequence, 0) + body)
            chunks = self._receive_dump()
        except OSError as error:
            if error.errno in (errno.ENOBUFS, errno.EINTR):
                self._flush()
                return None
            raise kernel_error(error.errno or errno.EIO, "reading from rtnetlink") from None
        found = []
        for chunk in chunks:
            if needle not in chunk and chunk is not chunks[-1]:
                continue
            for message in messages(chunk):
                if message.sequence != self._sequence:
                    continue
                if message.flags & wire.NLM_F_DUMP_INTR:
                    return None
                if message.kind in (wire.NLMSG_ERROR, wire.NLMSG_DONE):
                    refused = refusal(message)
                    if refused is None or refused.code in (errno.ENODEV, errno.ENOENT, errno.EOPNOTSUPP):
                        break
                    if refused.code in (errno.EINTR, errno.EBUSY):
                        return None
                    raise refused
                found.append(message.body)
        return found

    def _receive_dump(self) -> list[bytes]:
        chunks = []
        while True:
            data = self.socket.recv(LARGEST)
            chunks.append(data)
            if ends_dump(data, self._sequence):
                return chunks

    def _flush(self) -> None:
        """Drops the rest of a dump."""
        self.socket.settimeout(0)
        while True:
            try:
                self.socket.recv(LARGEST)
            except BlockingIOError:
                break
            except OSError:
                continue
        self.socket.settimeout(None)


def may_end(tail: bytes, sequence: bytes) -> bool:
    """Whether a header in the end of a datagram may be that of NLMSG_DONE or NLMSG_ERROR."""
    at = tail.find(sequence)
    while at >= 0:
        if at < 4 or tail[at - 4 : at - 2] in ENDS:
            return True
        at = tail.find(sequence, at + 1)
    return False


def ends_dump(data: bytes, sequence: int) -> bool:
    """Whether the last message of a dump is in this datagram: it is the last in it, then, and short."""
    if len(data) > LAST and not may_end(data[-LAST:], struct.pack("=I", sequence)):
        return False
    at, end = 0, len(data)
    while at + 16 <= end:
        length, kind, _, number, _ = HEADER.unpack_from(data, at)
        if length < 16:
            return True
        if number == sequence and kind in (wire.NLMSG_DONE, wire.NLMSG_ERROR):
            return True
        at += (length + 3) & ~3
    return False


def cookie_of(any_socket: socket.socket) -> int:
    """SO_NETNS_COOKIE of any socket."""
    return int.from_bytes(any_socket.getsockopt(socket.SOL_SOCKET, wire.SO_NETNS_COOKIE, 8), sys.byteorder)
