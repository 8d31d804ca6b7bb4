"""The open request sockets, one for each namespace."""

from __future__ import annotations

import resource
from contextlib import AbstractContextManager

from netd.kernel.kernel import Kernel
from netd.kernel.session import Session

#: At most this fraction of the process's descriptors is for sessions; each has two of them.
SHARE = 5


class SessionPool:
    """Sessions stay open until they are closed, so that all reads and writes in one namespace share one."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._open: dict[str, tuple[AbstractContextManager[Session], Session]] = {}

    def session(self, netns: str) -> Session:
        """The session in a namespace."""
        opened = self._open.get(netns)
        if opened is None:
            if len(self._open) >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE:
                self.close_all()
            context = self._kernel.open(netns)
            opened = self._open[netns] = (context, context.__enter__())
        return opened[1]

    def close(self, netns: str) -> None:
        """Closes the session in a namespace, if there is one."""
        opened = self._open.pop(netns, None)
        if opened is not None:
            opened[0].__exit__(None, None, None)

    def close_all(self) -> None:
        """Closes the sessions in all namespaces."""
        for netns in tuple(self._open):
            self.close(netns)
