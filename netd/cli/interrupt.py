"""Ctrl-C at any moment: one line that says what was done and what was not, never a traceback. The exit status is 130.

Imported before anything else, and imports next to nothing itself: Ctrl-C may come while the rest is being imported.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

#: 128 + SIGINT, as shells have it.
STATUS = 130
AT_START = "interrupted before anything was done"
#: Whether this process is the command: then Ctrl-C is this module's (in a test's process it is not).
_ours = False


def end_at_once(text: str) -> NoReturn:
    """One line, and the end of the process, whatever it is doing."""
    with contextlib.suppress(OSError):
        os.write(2, f"{line_start()}netd: {text}\n".encode(errors="backslashreplace"))
    os._exit(STATUS)


def line_start() -> str:
    """Terminals show "^C" where the cursor is: the text begins on the next line."""
    return "\n" if os.isatty(2) else ""


def guard_imports() -> None:
    """From now on Ctrl-C ends the process. Lets in one that was held back since the process started."""
    global _ours
    _ours = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # ignored: started in the background by a shell
    if not _ours:
        return

    def stop(number: int, frame: FrameType | None) -> None:
        end_at_once(AT_START)

    signal.signal(signal.SIGINT, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def guard_work() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt: the command says what it has done."""
    if _ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def guard_end(text: str = "") -> None:
    """From now on Ctrl-C ends the process with ``text``; without one, it changes nothing any more."""

    def stop(number: int, frame: FrameType | None) -> None:
        end_at_once(text)

    if _ours:
        signal.signal(signal.SIGINT, stop if text else signal.SIG_IGN)


def tell(text: str) -> int:
    """Prints the line; returns the exit status."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        print(f"{line_start()}netd: {text}", file=sys.stderr, flush=True)
    return STATUS
