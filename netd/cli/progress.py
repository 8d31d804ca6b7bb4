"""What a command shows on a terminal while it takes longer than a second: one line, which is erased at the end."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

#: Seconds until the line is shown, and between two versions of it.
PATIENCE, PERIOD = 1.0, 0.25
CLEAR = "\r\x1b[K"


class Progress:
    """``text`` is called for each version of the line, with the seconds since the start, in a thread of its own."""

    def __init__(self, text: Callable[[float], str]) -> None:
        self._text = text
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _show(self) -> None:
        start = time.monotonic()
        pause, shown = PATIENCE, False
        with contextlib.suppress(OSError):
            while not self._over.wait(pause):
                pause, shown = PERIOD, True
                text = self._text(time.monotonic() - start)
                sys.stderr.write(CLEAR + text[: shutil.get_terminal_size().columns - 1])
                sys.stderr.flush()
            if shown:
                sys.stderr.write(CLEAR)
                sys.stderr.flush()
