"""``Extra``, from the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from netd.engine.observe.mirror import Mirror
from netd.errors import Changed
from netd.kernel.sysctl.listing import read_all, read_fresh
from netd.model.state import Route


class KernelFacts:
    """Reads through the sessions of a mirror; each namespace once."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._routes: dict[str, Sequence[Route]] = {}

    def routes(self, netns: str) -> Sequence[Route]:
        """The routes of all tables and both families."""
        if netns not in self._routes:
            try:
                self._routes[netns] = self._mirror.session(netns).all_routes()
            except Changed:
                self._routes[netns] = ()
        return self._routes[netns]

    def sysctls(self, netns: str) -> Mapping[str, str]:
        """All network parameters of a namespace."""
        try:
            return self._mirror.session(netns).inside(read_all)
        except Changed:
            return {}

    def fresh_sysctls(self) -> Mapping[str, str]:
        """The same of a namespace that was just created."""
        return self._fresh

    @cached_property
    def _fresh(self) -> Mapping[str, str]:
        return read_fresh()
