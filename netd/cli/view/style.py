"""Colors: on a terminal, unless NO_COLOR is set (no-color.org)."""

from __future__ import annotations

import os
from typing import TextIO

CODES = {"red": "31", "green": "32", "yellow": "33", "magenta": "35", "bold": "1", "dim": "2"}
#: Said beside the state of an object that netd keeps in a fault on purpose.
FAULT = "fault"
#: The colors of the states of objects, of files, and of the whole network.
STATE_COLORS = {
    "ok": "green", "converged": "green", "pending": "yellow", "converging": "yellow", "incomplete": "yellow",
    "partial": "yellow", "contended": "magenta", "diverged": "magenta", "failed": "red", "conflict": "red",
    "invalid": "red", "degraded": "red", "orphan": "dim", "ignored": "dim",
    FAULT: "magenta", f"ok {FAULT}": "magenta",
}  # fmt: skip


def has_color(stream: TextIO) -> bool:
    """Whether text on this stream may be colored."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def colored(text: str, color: str, wanted: bool) -> str:
    """The text in a color of CODES, or as it is."""
    return f"\x1b[{CODES[color]}m{text}\x1b[0m" if wanted and color else text
