"""Many messages of a netlink socket in one call, recvmmsg(2): a busy machine sends ten thousand a second."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from netd.kernel.libc import LIBC

from . import wire

#: Messages in one call, and bytes of each that are kept. The relevant part of an event is at its beginning.
MANY, KEPT = 64, 8192
#: Room for the control message with the namespace's number: struct cmsghdr and an int.
CONTROL = 32
MSG_DONTWAIT = 0x40


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message(ctypes.Structure):
    """struct mmsghdr: the header, and the size of what came."""

    _fields_ = (("header", Header), ("size", ctypes.c_uint))


#: Of a struct mmsghdr: how much control data came, and how large the message is. Of the control data: its level, type
#: and number. Of a message: its type, and the beginning of what follows the header (struct ifinfomsg of a link).
SIZES = struct.Struct("@40xQi4xI4x")
NUMBERS = struct.Struct("@8xiii12x")
BEGIN = struct.Struct("=4xH10x16s")
NUMBERED = (wire.SOL_NETLINK, wire.NETLINK_LISTEN_ALL_NSID)


class Receiver:
    """A buffer for received messages; the next call overwrites it."""

    def __init__(self) -> None:
        self._data, self._control = bytearray(MANY * KEPT), bytearray(MANY * CONTROL)
        data = ctypes.addressof(ctypes.c_char.from_buffer(self._data))
        control = ctypes.addressof(ctypes.c_char.from_buffer(self._control))
        self._vectors = (Vector * MANY)(*(Vector(data + n * KEPT, KEPT) for n in range(MANY)))
        self._messages = (Message * MANY)()
        for n, message in enumerate(self._messages):
            message.header = Header(None, 0, ctypes.pointer(self._vectors[n]), 1, control + n * CONTROL, CONTROL, 0)
        # The kernel overwrites the lengths: this is the state before a call.
        self._fresh = bytes(self._messages)
        self._view = memoryview(self._data)

    def receive(self, descriptor: int) -> int:
        """Receives; returns the number of messages, at least one. Never blocks: BlockingIOError. OSError ENOBUFS."""
        ctypes.memmove(self._messages, self._fresh, len(self._fresh))
        count = int(LIBC.recvmmsg(descriptor, self._messages, MANY, MSG_DONTWAIT, None))
        if count < 0:
            code = ctypes.get_errno()
            raise BlockingIOError if code == errno.EAGAIN else OSError(code, os.strerror(code))
        return count

    def messages(self, count: int, here: int, said: set[tuple[int, bytes]]) -> Iterator[tuple[int, memoryview]]:
        """Each with the number of its namespace, ``here`` where it has none. Valid until the next call.

        ``said`` collects the messages about links. A process that changes one in a loop makes the kernel repeat the
        same message a thousand times: it is passed on once.
        """
        sizes = SIZES.iter_unpack(memoryview(self._messages).cast("B")[: count * SIZES.size])
        numbers = NUMBERS.iter_unpack(memoryview(self._control)[: count * CONTROL])
        at = 0
        for (control, _, size), (level, kind, number) in zip(sizes, numbers, strict=True):
            if not control or (level, kind) != NUMBERED:
                number = here
            kind, head = BEGIN.unpack_from(self._data, at)
            if kind != wire.RTM_NEWLINK or (number, head) not in said:
                if kind == wire.RTM_NEWLINK:
                    said.add((number, head))
                yield number, self._view[at : at + min(size, KEPT)]
            at += KEPT
