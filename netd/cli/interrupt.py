"""Ctrl-C at any moment: one line that says what was done and what was not, never a traceback. The exit status is 130.

Imported first, and imports almost nothing itself: Ctrl-C may come while the other modules are imported.
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
#: Modules whose functions are not stopped half-way, and the seconds until the next attempt.
STEPS = ("netd.kernel.", "netd.engine.ledger")
AGAIN = 0.002
AT_START = "interrupted before anything was done"
#: Whether this process is the command: then Ctrl-C is this module's (in a test's process it is not).
_ours = False


def end_at_once(text: str) -> NoReturn:
    """Prints one line and ends the process at once."""
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

    def stop(number: int, frame: FrameType | None) -> None:
        end_at_once(AT_START)

    if _ours:
        signal.signal(signal.SIGINT, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # The installed command is started by env(1), which blocks SIGINT; ps(1) should show its name nevertheless.
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as name:
        name.write("netd")


def guard_work() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt: the command says what it has done.

    It waits for the end of what must not stop half-way: an operation of the kernel layer (which may be in another
    namespace at that moment), and a write of the ledger.
    """
    if _ours:
        signal.signal(signal.SIGALRM, _raise_between_steps)
        signal.signal(signal.SIGINT, _raise_between_steps)


def _raise_between_steps(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(STEPS):
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def guard_end(text: str = "") -> None:
    """From now on Ctrl-C ends the process with ``text``; without ``text`` it is ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        end_at_once(text)

    if _ours:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, stop if text else signal.SIG_IGN)


def tell(text: str) -> int:
    """Prints the line; returns the exit status."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        print(f"{line_start()}netd: {text}", file=sys.stderr, flush=True)
    return STATUS
