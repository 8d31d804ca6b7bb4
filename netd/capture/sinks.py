"""Where captured packets go: a pcapng file or pipe, or lines of text."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import platform
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from netd import __version__
from netd.kernel.packets.ring import Packet
from netd.report.terminal import one_line
from netd.report.text import rfc3339

from . import pcapng
from .summary import summary


class Interface(NamedTuple):
    """One of a capture: ``name`` as it is shown, NAMESPACE:LINK."""

    name: str
    ethernet: bool
    expression: str


class Sink(Protocol):
    """Takes packets in the order of time."""

    def take(self, packets: Sequence[Packet]) -> None:
        """OSError: there is no room, or nobody reads any more."""

    def finish(self, began: int, counts: Sequence[tuple[int, int]]) -> None:
        """The end; ``counts`` are (received, dropped) of each interface."""


class PcapngSink:
    """A file or pipe, by its descriptor. What is in a file is complete, also after a full disk."""

    def __init__(self, descriptor: int, interfaces: Sequence[Interface]) -> None:
        self._descriptor = descriptor
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        parts = [pcapng.section(f"netd {__version__}", f"{platform.system()} {platform.release()}")]
        parts += [pcapng.interface(one.name, ethernet=one.ethernet, expression=one.expression) for one in interfaces]
        self._write(parts)

    def take(self, packets: Sequence[Packet]) -> None:
        packed = pcapng.packet
        self._write([packed(number, at, out, size, data) for at, number, out, size, data in packets])

    def finish(self, began: int, counts: Sequence[tuple[int, int]]) -> None:
        ended = time.time_ns()
        numbered = enumerate(counts)
        self._write([pcapng.statistics(number, began, ended, *count) for number, count in numbered])

    def _write(self, blocks: Sequence[bytes]) -> None:
        """Half a block at the end would make a file unreadable: it is cut off where there is no room."""
        data = memoryview(b"".join(blocks))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._descriptor, data[done:])
        except OSError:
            if self._regular:
                self._cut_off(done - whole_length(blocks, done))
            raise

    def _cut_off(self, length: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR) - length)


def whole_length(blocks: Iterable[bytes], written: int) -> int:
    """How long the blocks are that are whole in the first ``written`` bytes."""
    ends = itertools.takewhile(lambda end: end <= written, itertools.accumulate(map(len, blocks)))
    return max(ends, default=0)


class TextSink:
    """A line for each packet, by ``print_line``."""

    def __init__(self, interfaces: Sequence[Interface], print_line: Callable[[str], None]) -> None:
        self._interfaces = interfaces
        self._print = print_line
        self._width = max((len(one.name) for one in interfaces), default=0)

    def take(self, packets: Sequence[Packet]) -> None:
        for one in packets:
            self._print(self._line(one))

    def _line(self, one: Packet) -> str:
        interface = self._interfaces[one.ring]
        clock = time.strftime("%H:%M:%S", time.localtime(one.time // 1_000_000_000))
        what = summary(one.data, ethernet=interface.ethernet)
        direction = "out" if one.outgoing else "in "
        return f"{clock}.{one.time // 1000 % 1_000_000:06} {one_line(interface.name):{self._width}} {direction} {what}"

    def finish(self, began: int, counts: Sequence[tuple[int, int]]) -> None:
        """Nothing is left to write."""


class JsonSink(TextSink):
    """A JSON document for each packet."""

    def _line(self, one: Packet) -> str:
        import json

        interface = self._interfaces[one.ring]
        found = {
            "version": 1,
            "time": rfc3339(one.time / 1_000_000_000),
            "link": interface.name,
            "direction": "out" if one.outgoing else "in",
            "length": one.length,
            "summary": summary(one.data, ethernet=interface.ethernet),
        }
        return json.dumps(found)


def reason_of_end(error: OSError) -> str:
    """Why writing ended, "" where whoever read it has gone."""
    if error.errno == errno.EPIPE:
        return ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{os.strerror(error.errno)}: the file has all packets before that, and can be read; free some space"
    return f"cannot be written: {os.strerror(error.errno or errno.EIO)}"
