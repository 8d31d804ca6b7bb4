"""The pcapng format: one section, an interface for each link, packets with nanoseconds, and what was lost.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER, LENGTH_UNKNOWN = 0x1A2B3C4D, -1
#: LINKTYPE_ETHERNET and LINKTYPE_RAW, https://www.tcpdump.org/linktypes.html.
ETHERNET, RAW = 1, 101
IF_NAME, IF_TSRESOL, IF_FILTER, SHB_OS, SHB_USERAPPL = 2, 9, 11, 3, 4
ISB_STARTTIME, ISB_ENDTIME, ISB_IFRECV, ISB_IFDROP = 2, 3, 4, 5
EPB_FLAGS, INBOUND, OUTBOUND = 2, 1, 2
SNAPLEN = 262144
#: Paddings by how many bytes there are beyond a multiple of four.
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
PACKET_HEAD = struct.Struct("=IIIIIII")
#: The options of a packet (its direction, the end), and the block's length, which is added behind them.
DIRECTION = {
    outgoing: struct.pack("=HHIHH", EPB_FLAGS, 4, OUTBOUND if outgoing else INBOUND, 0, 0) for outgoing in (False, True)
}
LENGTH = struct.Struct("=I")


def option(code: int, value: bytes) -> bytes:
    """One option."""
    return struct.pack("=HH", code, len(value)) + value + PADDING[len(value) % 4]


def block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """One block of any kind but packets."""
    packed = b"".join(option(code, value) for code, value in options)
    body += packed + (option(0, b"") if packed else b"")
    length = len(body) + 12
    return struct.pack("=II", kind, length) + body + struct.pack("=I", length)


def section(application: str, system: str) -> bytes:
    """The beginning of the file."""
    body = struct.pack("=IHHq", BYTE_ORDER, 1, 0, LENGTH_UNKNOWN)
    return block(SECTION, body, ((SHB_OS, system.encode()), (SHB_USERAPPL, application.encode())))


def interface(name: str, *, ethernet: bool, expression: str = "") -> bytes:
    """An interface; the first has number 0."""
    options = [(IF_NAME, name.encode()), (IF_TSRESOL, b"\x09")]
    if expression:
        options.append((IF_FILTER, b"\0" + expression.encode()))
    return block(INTERFACE, struct.pack("=HHI", ETHERNET if ethernet else RAW, 0, SNAPLEN), options)


def packet(number: int, time: int, outgoing: bool, length: int, data: bytes) -> bytes:
    """One packet of interface ``number``; ``time`` in nanoseconds."""
    captured = len(data)
    padding = PADDING[captured & 3]
    whole = 28 + captured + len(padding) + 12 + 4
    head = PACKET_HEAD.pack(PACKET, whole, number, time >> 32, time & 0xFFFFFFFF, captured, length)
    return b"".join((head, data, padding, DIRECTION[outgoing], LENGTH.pack(whole)))


def statistics(number: int, began: int, ended: int, received: int, dropped: int) -> bytes:
    """What an interface received and lost, at the end of the file."""

    def moment(time: int) -> bytes:
        return struct.pack("=II", time >> 32, time & 0xFFFFFFFF)

    counts = ((ISB_IFRECV, struct.pack("=Q", received)), (ISB_IFDROP, struct.pack("=Q", dropped)))
    times = ((ISB_STARTTIME, moment(began)), (ISB_ENDTIME, moment(ended)))
    return block(STATISTICS, struct.pack("=I", number) + moment(ended), (*times, *counts))
