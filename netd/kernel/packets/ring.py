"""One packet socket with a ring that the kernel fills: packet(7), Documentation/networking/packet_mmap.rst.

TPACKET_V3: the kernel hands over whole blocks of packets, each with a time in nanoseconds. Structures:
include/uapi/linux/if_packet.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
TPACKET_V3 = 2
SO_ATTACH_FILTER = 26
PACKET_OUTGOING = 4
TP_STATUS_KERNEL, TP_STATUS_USER = 0, 1
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40
ETH_P_8021Q = 0x8100
#: tpacket_block_desc: block_status, num_pkts, offset_to_first_pkt behind version and offset_to_priv.
BLOCK = struct.Struct("=8xIII")
#: tpacket3_hdr up to tp_vlan_tpid, and sll_pkttype of the sockaddr_ll that follows the header's 48 bytes.
PACKET = struct.Struct("=IIIIIIHH4xIH")
PACKET_TYPE = 48 + 10
BLOCK_SIZE = 1 << 18
FRAME_SIZE = 1 << 11
#: Milliseconds after which the kernel hands over a block that is not full.
RETIRE_MS = 50
#: include/uapi/linux/if_arp.h: the frames of these links begin with an Ethernet header.
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772


class Packet(NamedTuple):
    """``time``: nanoseconds since 1970; ``length``: as it was on the wire, where ``data`` may be shorter."""

    time: int
    ring: int
    outgoing: bool
    length: int
    data: bytes


class Instruction(NamedTuple):
    """One of a classic BPF program: struct sock_filter, include/uapi/linux/filter.h."""

    code: int
    jump_true: int
    jump_false: int
    value: int


class PacketRing:
    """What one link sends and receives from now on. Made inside the namespace of the link; OSError.

    The socket keeps the namespace alive: ``close`` it soon after the namespace has lost its name.
    """

    def __init__(self, number: int, link: str, program: Sequence[Instruction] = (), blocks: int = 16) -> None:
        self.number = number
        self._blocks = blocks
        self._next = 0
        self.dropped = 0
        # Without a protocol nothing arrives before the filter is in place.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
            frames = BLOCK_SIZE * blocks // FRAME_SIZE
            request = struct.pack("=7I", BLOCK_SIZE, blocks, FRAME_SIZE, frames, RETIRE_MS, 0, 0)
            self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            self._memory = mmap.mmap(self.socket.fileno(), BLOCK_SIZE * blocks, mmap.MAP_SHARED)
            attach(self.socket, program)
            self.socket.bind((link, ETH_P_ALL))
            hardware = self.socket.getsockname()[3]
            self.ethernet = hardware in (ARPHRD_ETHER, ARPHRD_LOOPBACK)
            self._loopback = hardware == ARPHRD_LOOPBACK
        except BaseException:
            self.socket.close()
            raise

    def read(self) -> Iterator[Packet]:
        """The packets of all blocks that are ready. OSError ENETDOWN: the link was set down or is gone."""
        for _ in range(self._blocks):
            start = self._next * BLOCK_SIZE
            status, count, first = BLOCK.unpack_from(self._memory, start)
            if not status & TP_STATUS_USER:
                break
            yield from self._packets(start + first, count)
            struct.pack_into("=I", self._memory, start + 8, TP_STATUS_KERNEL)
            self._next = (self._next + 1) % self._blocks
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "the link is down")

    def _packets(self, at: int, count: int) -> Iterator[Packet]:
        memory, number = self._memory, self.number
        for _ in range(count):
            following, seconds, nanoseconds, length, whole, status, mac, _, tci, tpid = PACKET.unpack_from(memory, at)
            data = memory[at + mac : at + mac + length]
            if status & TP_STATUS_VLAN_VALID:
                data = with_tag(data, tci, tpid if status & TP_STATUS_VLAN_TPID_VALID else ETH_P_8021Q)
                whole += 4
            outgoing = memory[at + PACKET_TYPE] == PACKET_OUTGOING
            at += following
            # What loopback sends it receives at once: each packet would be there twice.
            if not (outgoing and self._loopback):
                yield Packet(seconds * 1_000_000_000 + nanoseconds, number, outgoing, whole, data)

    def count_dropped(self) -> int:
        """Packets that the ring had no room for, since the beginning."""
        with contextlib.suppress(OSError):
            found = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12)
            self.dropped += struct.unpack("=III", found)[1]
        return self.dropped

    def close(self) -> None:
        """Lets go of the namespace."""
        self._memory.close()
        self.socket.close()


def with_tag(data: bytes, tci: int, tpid: int) -> bytes:
    """The frame with the VLAN tag that the kernel took out of it (802.1Q)."""
    return data[:12] + struct.pack("!HH", tpid, tci) + data[12:]


def attach(one: socket.socket, program: Sequence[Instruction]) -> None:
    """SO_ATTACH_FILTER, socket(7): only what the program accepts arrives."""
    if not program:
        return
    packed = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
