"""Reads many packet sockets, and hands on what they have in the order of time.

Each socket delivers its packets in order, but at moments of its own: the kernel holds a block back until it is full or
``RETIRE_MS`` old. So a packet is handed on once it is older than anything that can still come.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netd.errors import KernelError
from netd.kernel.kernel import Kernel
from netd.kernel.packets.ring import BLOCK_SIZE, RETIRE_MS, Instruction, Packet, PacketRing
from netd.model.key import LinkName

#: Nanoseconds that a packet is held back, and seconds between two looks at whether all links are there.
HOLD = 4 * RETIRE_MS * 1_000_000
LOOK_AGAIN = 0.5
#: Bytes of memory for all rings together, and blocks of one ring.
MEMORY = 1 << 27
FEWEST, MOST = 4, 64


class Source(NamedTuple):
    """A link, and the filter for it."""

    link: LinkName
    program: Sequence[Instruction]


class Tap:
    """One source: its ring, as long as the link is there. A link that is recreated is tapped again."""

    def __init__(self, kernel: Kernel, number: int, source: Source, blocks: int) -> None:
        self._kernel = kernel
        self._number = number
        self._source = source
        self._blocks = blocks
        self._cookie: int | None = None
        self._dropped = 0
        self.ring: PacketRing | None = None
        self.received = 0

    def open(self) -> None:
        """KernelError, OSError: the link is not there."""
        link = self._source.link
        cookie = self._kernel.cookie(link.netns)
        with self._kernel.open(link.netns) as session:
            self.ring = session.inside(lambda: PacketRing(self._number, link.name, self._source.program, self._blocks))
        self._cookie = cookie

    def use(self, program: Sequence[Instruction]) -> None:
        """Another filter than that of the source."""
        self._source = self._source._replace(program=program)
        self.close()
        self.open()

    def look(self) -> bool:
        """Lets go of a namespace that has lost its name, taps a link that is there again; whether the ring is new."""
        link = self._source.link
        if self.ring is not None and self._kernel.cookie(link.netns) != self._cookie:
            self.close()
        if self.ring is None:
            with contextlib.suppress(KernelError, OSError):
                self.open()
                return True
        return False

    def read(self) -> list[Packet]:
        """What has arrived."""
        found: list[Packet] = []
        if self.ring is not None:
            try:
                found.extend(self.ring.read())
            except OSError:
                self.close()
        self.received += len(found)
        return found

    @property
    def dropped(self) -> int:
        """Packets that did not fit into the ring, over all times."""
        return self._dropped + (self.ring.count_dropped() if self.ring is not None else 0)

    def close(self) -> None:
        """Lets go of the namespace."""
        if self.ring is not None:
            self._dropped = self.dropped
            self.ring.close()
            self.ring = None


class Recording:
    """``taps``: one for each source, in their order, which is the number of the interface in packets."""

    def __init__(self, kernel: Kernel, sources: Sequence[Source]) -> None:
        blocks = max(FEWEST, min(MOST, MEMORY // BLOCK_SIZE // max(1, len(sources))))
        self.taps = [Tap(kernel, number, source, blocks) for number, source in enumerate(sources)]
        self.began = time.time_ns()
        self._held: list[Packet] = []

    def packets(self, end: float | None) -> Iterator[list[Packet]]:
        """The packets until a time of ``time.monotonic``, in portions that may be empty."""
        poll, look = select.poll(), time.monotonic() + LOOK_AGAIN
        for tap in self.taps:
            self._register(poll, tap)
        while end is None or time.monotonic() < end:
            poll.poll(RETIRE_MS)
            now = time.time_ns()
            for tap in self.taps:
                self._held += tap.read()
            yield self._ripe(now - HOLD)
            if time.monotonic() > look:
                look = time.monotonic() + LOOK_AGAIN
                for tap in self.taps:
                    if tap.look():
                        self._register(poll, tap)

    def _register(self, poll: select.poll, tap: Tap) -> None:
        if tap.ring is not None:
            poll.register(tap.ring.socket, select.POLLIN | select.POLLERR)

    def rest(self) -> list[Packet]:
        """What was on its way when the recording ended."""
        now = time.time_ns()
        # The kernel holds back a block that is not full for so long: nothing announces that it was the last one.
        time.sleep(2 * RETIRE_MS / 1000)
        for tap in self.taps:
            self._held += tap.read()
        return self._ripe(now)

    def _ripe(self, until: int) -> list[Packet]:
        """Takes out the packets up to a time."""
        held = self._held
        held.sort(key=lambda one: one.time)
        count = len(held)
        while count and held[count - 1].time > until:
            count -= 1
        ripe, self._held = held[:count], held[count:]
        return ripe

    def close(self) -> None:
        """Lets go of all namespaces."""
        for tap in self.taps:
            tap.close()
