"""A command on a real pseudo-terminal, as an operator has it in front of him."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping

from tests.support.host import ROOT, Host
from tests.support.process import DEADLINE

#: What moves the cursor or changes colors.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """netd commands on a terminal of this size; ``env`` adds to the environment."""

    def __init__(self, host: Host, columns: int = 100, lines: int = 30, env: Mapping[str, str] | None = None) -> None:
        self.host = host
        self.size = struct.pack("HHHH", lines, columns, 0, 0)
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.env = {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **(env or {})}

    def start(self, *args: str) -> tuple[subprocess.Popen[bytes], int]:
        """A command of netd, and the descriptor of the terminal's other side."""
        return self.program(sys.executable, "-m", "netd", *args)

    def program(self, *command: str) -> tuple[subprocess.Popen[bytes], int]:
        """The same for any program: it has the terminal as its controlling one."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self.size)
        into = self.host.inside(["setsid", "--ctty", "--wait", *command])
        popen = subprocess.Popen(into, stdin=theirs, stdout=theirs, stderr=theirs, cwd="/", env=self.env)
        os.close(theirs)
        return popen, ours

    def netd(self, *args: str) -> tuple[int, str]:
        """The exit status, and all that was shown, escape sequences included."""
        popen, ours = self.start(*args)
        try:
            shown = read_all(ours)
            return popen.wait(), shown
        finally:
            os.close(ours)
            popen.kill()
            popen.wait()


def read_until(descriptor: int, text: str) -> str:
    """What is shown until ``text`` is, or the last process on the terminal has ended."""
    shown = b""
    while text.encode() not in shown and readable(descriptor) and (part := read(descriptor)):
        shown += part
    assert text.encode() in shown, f"{text!r} was not shown: {shown.decode(errors='replace')!r}"
    return shown.decode(errors="replace").replace("\r\n", "\n")


def readable(descriptor: int) -> bool:
    """Whether something is shown before the deadline; a descriptor may have any number here."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(DEADLINE * 1000))


def read(descriptor: int) -> bytes:
    """The next part of what is shown, b"" after the last."""
    try:
        return os.read(descriptor, 65536)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def read_all(descriptor: int) -> str:
    """Until the last process on the terminal has ended."""
    parts: list[bytes] = []
    while part := read(descriptor):
        parts.append(part)
    return b"".join(parts).decode(errors="replace").replace("\r\n", "\n")


def plain(shown: str) -> str:
    """The text without escape sequences."""
    return ESCAPES.sub("", shown)
