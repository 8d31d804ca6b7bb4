"""One netd per state directory."""

from __future__ import annotations

import contextlib
import fcntl
import os

from netd.errors import Busy, UsageError

LOCK = "lock"


class Lock:
    """Held until the process ends; the file names the holder."""

    def __init__(self, state_dir: str, verb: str) -> None:
        path = os.path.join(state_dir, LOCK)
        try:
            os.makedirs(state_dir, mode=0o755, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}: netd needs a writable state directory (--state-dir)") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 200, 0).decode("utf-8", "replace").strip() or "another netd"
            os.close(self._fd)
            raise Busy(in_use(holder, verb)) from None
        # On a full disk the lock works, too, without a name.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"netd {verb} (pid {os.getpid()})\n".encode(), 0)

    def release(self) -> None:
        """Releases the lock."""
        os.close(self._fd)


def in_use(holder: str, verb: str) -> str:
    """What to do if another netd is running: ``holder`` is "netd run (pid 12)", or another verb."""
    if not holder.startswith("netd run"):
        return f"{holder} is running: wait until it has finished"
    if verb == "run":
        return f"the daemon is running already: {holder}"
    reads = ", or let it read the files now with 'netd reload'" if verb == "apply" else ""
    return f"the daemon is running: stop it first with 'systemctl stop netd'{reads}"
