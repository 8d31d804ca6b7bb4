"""Single keys from a terminal, without Enter and without echo."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from typing import Any

#: What terminals send for these keys.
SEQUENCES = {
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x1b": "escape",
}


class Keyboard:
    """``with Keyboard() as keyboard``: the terminal is as before at the end."""

    def __enter__(self) -> Keyboard:
        self._typed = b""
        self._before: list[Any] = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *error: object) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def key(self, timeout: float) -> str:
        """The next key, "" where none comes in time: "up", "down", "enter", "backspace", "escape", or a character."""
        if not self._typed:
            ready, _, _ = select.select([sys.stdin], [], [], max(0.0, timeout))
            if not ready:
                return ""
            self._typed = os.read(sys.stdin.fileno(), 1024)
            if not self._typed:
                return "q"  # the terminal is gone
        for sequence, name in SEQUENCES.items():
            if self._typed.startswith(sequence):
                self._typed = self._typed[len(sequence) :]
                return name
        text = self._typed.decode(errors="replace")
        self._typed = text[1:].encode()
        return text[0]
