"""Writes the lines of the log, without ever waiting for their reader.

A stopped journal, a full pipe or a paused terminal must not delay a repair. What cannot be written now is kept, up to a
limit, for a thread that waits instead of the event loop. Further lines are counted, and the count is reported once
lines can be written again.
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable

#: The most lines, and bytes, that are kept for a reader that does not read.
MOST_LINES, MOST_BYTES = 2000, 2 << 20
#: Seconds between two attempts of the thread, and the most that the end of the process waits for the rest.
RETRY, LAST_WAIT = 0.1, 1.0
#: A pipe that can be written to takes so many bytes at once, pipe(7).
PIPE_BUF = 4096
#: journald is stopped, its queue is full, or it is being restarted.
NOT_NOW = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOENT, errno.ECONNREFUSED, errno.EINTR, errno.ENOMEM})

#: Writes as much of a line as possible without waiting, and returns the rest. OSError: the rest cannot be written.
Send = Callable[[bytes], bytes]


class Outlet:
    """``lost`` returns the line about the number of lost lines.

    ``patient``: ``send`` may wait after all, so only the thread calls it.
    """

    def __init__(self, send: Send, lost: Callable[[int], bytes], *, patient: bool = False) -> None:
        self._send = send
        self._lost_line = lost
        self._patient = patient
        self._lock = threading.Lock()
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._thread: threading.Thread | None = None
        atexit.register(self.close)

    def put(self, line: bytes) -> None:
        """Sends the line, keeps it, or counts it as lost; never blocks and never throws."""
        with self._lock:
            if self._thread is None and not self._patient:
                line = self._rest(line)
                if not line:
                    return
            if len(self._kept) < MOST_LINES and self._bytes + len(line) <= MOST_BYTES:
                self._kept.append(line)
                self._bytes += len(line)
            else:
                self._lost += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._empty, name="netd-log", daemon=True)
                self._thread.start()

    def _rest(self, line: bytes) -> bytes:
        """The part that could not be sent yet; empty if it can never be sent."""
        try:
            return self._send(line)
        except OSError:
            return b""

    def _empty(self) -> None:
        """In the thread, which alone removes lines: until none is left."""
        while True:
            with self._lock:
                if not self._kept and self._lost:
                    self._kept.append(self._lost_line(self._lost))
                    self._bytes += len(self._kept[0])
                    self._lost = 0
                if not self._kept:
                    self._thread = None
                    return
                line = self._kept[0]
            rest = self._rest(line)
            with self._lock:
                self._bytes -= len(line) - len(rest)
                if rest:
                    self._kept[0] = rest
                else:
                    self._kept.popleft()
            if rest:
                time.sleep(RETRY)

    def close(self) -> None:
        """Waits a moment for the lines that are left."""
        thread = self._thread
        if thread is not None:
            thread.join(LAST_WAIT)


def to_journal(path: str) -> Send:
    """Datagrams to journald's socket: it gets a line whole, or later."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def send(line: bytes) -> bytes:
        try:
            connection.sendto(line, path)
        except OSError as error:
            if error.errno in NOT_NOW:
                return line
            raise
        return b""

    return send


def to_descriptor(descriptor: int) -> Send:
    """Text to a file, or to a pipe as far as it has room. The file description is shared, so it stays blocking."""
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)

    def send(line: bytes) -> bytes:
        while line and (regular or poll.poll(0)):
            line = line[os.write(descriptor, line if regular else line[:PIPE_BUF]) :]
        return line

    return send


def may_wait(descriptor: int) -> bool:
    """Whether a write can block although poll(2) reports room: that of a terminal can."""
    return stat.S_ISCHR(os.fstat(descriptor).st_mode)
