"""The part of HTTP that an engine's socket needs. Version 1.0: no chunks, and the answer ends with the connection."""

from __future__ import annotations

import socket
import time

#: The most bytes of an answer, or of one line of a stream.
LONGEST = 16 << 20


class BadAnswer(Exception):
    """The answer is invalid; the text says why."""


def dial(path: str, target: str, seconds: float) -> socket.socket:
    """A connection to a Unix socket, with the request sent. OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    except OSError:
        connection.close()
        raise
    return connection


def get(path: str, target: str, seconds: float) -> tuple[int, bytes]:
    """Status and body. OSError (TimeoutError where it took longer), BadAnswer."""
    until = time.monotonic() + seconds
    data = bytearray()
    with dial(path, target, seconds) as connection:
        while piece := connection.recv(1 << 16):
            data += piece
            if len(data) > LONGEST:
                raise BadAnswer("the answer has no end")
            connection.settimeout(max(0.001, until - time.monotonic()))
    head, end, body = bytes(data).partition(b"\r\n\r\n")
    if not end:
        raise BadAnswer("the answer is cut off")
    return status(head), body


def status(head: bytes) -> int:
    """The code in the first line of an answer. BadAnswer."""
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise BadAnswer("the answer is not HTTP")
    return int(words[1])


class Lines:
    """An answer that never ends, one line after the other."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._data = b""
        #: The code of the answer, None until it began.
        self.status: int | None = None

    def read(self) -> list[bytes]:
        """The lines that came in full; never blocks. EOFError at the end, BadAnswer, OSError."""
        try:
            piece = self._connection.recv(1 << 16)
        except BlockingIOError:
            return []
        if not piece:
            raise EOFError
        self._data += piece
        if len(self._data) > LONGEST:
            raise BadAnswer("the line has no end")
        if self.status is None:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return []
            self.status, self._data = status(head), rest
        *lines, self._data = self._data.split(b"\n")
        return lines
