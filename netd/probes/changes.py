"""Waits for changes of the network, in all namespaces, or of a configuration file."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from types import TracebackType

from netd.kernel.events import NETLINK_NETFILTER, NFNLGRP_NFTABLES, listening
from netd.kernel.inotify import ENTRIES, IN_CLOSE_WRITE, Inotify

#: RTNLGRP_*: link, tc, ipv4 and ipv6 address, route and rule. Neighbors change with every packet.
GROUPS = (1, 4, 5, 7, 8, 9, 11, 19)
BUFFER = 1 << 20
#: Seconds without a change after which the network counts as settled, and the most to wait for that.
QUIET, LONGEST = 0.3, 5.0


class Changes:
    """Listens from its creation to its end. What is not reported by events (a process that ends) is no change."""

    def __init__(self, config_dir: str) -> None:
        found = (
            listening(socket.NETLINK_ROUTE, GROUPS, BUFFER),
            listening(NETLINK_NETFILTER, (NFNLGRP_NFTABLES,), BUFFER),
        )
        self._sockets = [each for each in found if each is not None]
        self._files = Inotify()
        self._files.add(os.path.realpath(config_dir), ENTRIES | IN_CLOSE_WRITE)

    def __enter__(self) -> Changes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._sockets:
            each.close()
        self._files.close()

    def wait(self) -> None:
        """Returns after the next change, once no more have come for a moment."""
        self._any(None)
        end = time.monotonic() + LONGEST
        while time.monotonic() < end and self._any(QUIET):
            pass

    def _any(self, limit: float | None) -> bool:
        descriptors = [each.fileno() for each in self._sockets]
        ready, _, _ = select.select([*descriptors, self._files.descriptor], [], [], limit)
        list(self._files.events())
        for each in self._sockets:
            # A socket that overran fails once: that is a change, too.
            with contextlib.suppress(OSError):
                while each.recv(1 << 16):
                    pass
        return bool(ready)
