"""A try, as the command has it: the connection that holds it, the question, and the answer."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from netd.errors import Busy, NetdError, Silent, UsageError
from netd.report.status import SOCKET, ask

#: Seconds between two looks at whether the network is up, and for the daemon to answer what it can answer at once.
SLICE, PATIENCE = 0.5, 10.0
#: Bytes of an answer.
PIECE = 1 << 16


def readable(descriptors: Sequence[int], seconds: float) -> list[int]:
    """Those that can be read, after at most so many seconds; whatever their numbers are (select(2) ends at 1,024)."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]


class Hold:
    """The connection of one try: while it is open, the new files are in force. ``ask`` has errors as it has them."""

    def __init__(self, state_dir: str, stage: str, names: Sequence[str], timeout: float) -> None:
        self.state_dir = state_dir
        self.stage = stage
        self.end = time.monotonic() + timeout
        self._answer = b""
        # Whether the daemon is there, in its own words if not.
        ask(state_dir, {"verb": "try", "action": "state"}, timeout=PATIENCE)
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.connect(os.path.join(state_dir, SOCKET))
        request = {"verb": "try", "action": "begin", "stage": stage, "names": list(names), "timeout": timeout}
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        self._must_have_begun()

    @property
    def left(self) -> float:
        """Seconds until the files are put back."""
        return max(0.0, self.end - time.monotonic())

    def fileno(self) -> int:
        """It can be read when the try is over."""
        return self._connection.fileno()

    def _must_have_begun(self) -> None:
        """Busy with the reason, where the daemon did not begin."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.over(0.05):
                raise refusal(self.outcome())
            if ask(self.state_dir, {"verb": "try", "action": "state"}, timeout=PATIENCE).get("try"):
                return
        raise Silent("the daemon did not begin: 'journalctl -u netd' tells more")

    def over(self, patience: float) -> bool:
        """Whether the try is over, after at most so many seconds."""
        return bool(readable([self.fileno()], patience))

    def outcome(self) -> dict[str, Any]:
        """What became of it: {"state": "kept"}, "put back" with the reason, or "lost" with the daemon. Waits for it."""
        with suppress(OSError):
            while piece := self._connection.recv(PIECE):
                self._answer += piece
        with suppress(ValueError):
            return dict(json.loads(self._answer))
        return {"state": "lost"}

    def keep(self) -> None:
        """The new files stay. Busy: it was too late."""
        ask(self.state_dir, {"verb": "try", "action": "keep", "stage": self.stage}, timeout=PATIENCE)

    def give_up(self) -> None:
        """The former files are put back."""
        with suppress(NetdError):
            ask(self.state_dir, {"verb": "try", "action": "give up", "stage": self.stage}, timeout=PATIENCE)


def refusal(outcome: dict[str, Any]) -> NetdError:
    """Busy with the daemon's reason; UsageError where it has ended."""
    return Busy(str(outcome["error"])) if "error" in outcome else UsageError("the daemon has ended")


def wait_until_up(hold: Hold) -> list[str]:
    """What is missing when the time is over, or the try; [] once the network is up."""
    missing = ["the daemon has not answered"]
    while hold.left > 0 and not hold.over(0):
        request = {"verb": "wait", "objects": [], "strict": False, "timeout": min(SLICE, hold.left)}
        with suppress(NetdError):
            missing = ask(hold.state_dir, request, timeout=PATIENCE)["not_ready"]
        if not missing:
            return []
    return list(missing)


def confirmed(hold: Hold) -> bool:
    """Asks. True for Enter; False for anything else, the end of the input, and the end of the try."""
    print(f"Press Enter within {hold.left:.0f} s to keep the change; anything else puts it back: ", end="", flush=True)
    typed = b""
    while hold.left > 0:
        ready = readable([hold.fileno(), 0], hold.left)
        if hold.fileno() in ready:
            break
        if ready:
            piece = os.read(0, 1024)
            typed += piece
            if not piece or b"\n" in typed:
                return typed.partition(b"\n")[0].strip() == b"" and b"\n" in typed
    print()
    return False
