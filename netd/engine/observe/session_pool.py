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
        #: The open ones, by namespace.
        self.opened: dict[str, Session] = {}
        self._contexts: dict[str, AbstractContextManager[Session]] = {}

    def open(self, netns: str) -> Session:
        """A session in a namespace in which none is open."""
        if len(self.opened) >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE:
            self.close(*self.opened)
        context = self._kernel.open(netns)
        session = self.opened[netns] = context.__enter__()
        self._contexts[netns] = context
        return session

    def close(self, *namespaces: str) -> None:
        """Closes the sessions in these namespaces, as far as there are any."""
        for netns in namespaces:
            if self.opened.pop(netns, None) is not None:
                self._contexts.pop(netns).__exit__(None, None, None)
