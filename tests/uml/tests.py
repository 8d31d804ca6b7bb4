"""``python -m tests.uml.tests [PYTEST ARGUMENT...]``: the tests with ``needs_kernel`` under the User-Mode Linux kernel.

One machine for each processor, as it has one processor itself.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from .machine import ROOT, run

#: EXIT_NOTESTSCOLLECTED.
NOTHING = 5
LOCK = threading.Lock()


def shard(part: int, parts: int, more: list[str]) -> int:
    """Runs one part; the exit status of pytest."""
    left = b""

    def say(text: bytes) -> None:
        nonlocal left
        *lines, left = (left + text).split(b"\n")
        with LOCK:
            for line in lines:
                sys.stdout.buffer.write(b"%d| %s\n" % (part, line))
            sys.stdout.flush()

    command = [sys.executable, "-m", "pytest", "-m", "needs_kernel", "--shard", f"{part}/{parts}", *more]
    status = run(command, os.environ, say, str(ROOT))
    say(b"\n" if left else b"")
    return status


def main(more: list[str]) -> int:
    """The worst exit status of all parts; NOTHING where none of them had a test."""
    parts = os.cpu_count() or 1
    with ThreadPoolExecutor(parts) as pool:
        statuses = set(pool.map(lambda part: shard(part, parts, more), range(1, parts + 1)))
    return max(statuses - {NOTHING}, default=NOTHING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
