"""All that the fake kernel has: namespaces by their cookies, names for some of them, cables between links.

How a namespace is equipped and a link removed is given to it: the modules that know import this one.
"""

from __future__ import annotations

import errno
import itertools
import random
from collections.abc import Callable, Iterable

from netd.errors import kernel_error
from netd.model.invalidation import Invalidation
from netd.model.key import HOST
from netd.model.state import Link

from .space import LOOPBACK, NAMES, FakeNamespace, LinkId


class FakeMachine:
    """``listeners`` are called for each change, with the namespace's cookie: whoever watches it knows its name.

    ``equip`` puts into a new namespace what the kernel puts there; ``remove_link`` and ``end_tunnels`` are those
    of ``links``.
    """

    def __init__(
        self,
        equip: Iterable[Callable[[FakeNamespace], None]],
        remove_link: Callable[[FakeMachine, FakeNamespace, int], None],
        end_tunnels: Callable[[FakeMachine, FakeNamespace], None],
        seed: int = 0,
    ) -> None:
        self.random = random.Random(seed)
        self._cookies = itertools.count(1)
        self.spaces: dict[int, FakeNamespace] = {}
        self.names: dict[str, int] = {}
        #: Foreign namespaces by their paths, and the names that were attached to one of them.
        self.paths: dict[str, int] = {}
        self.attached: set[str] = set()
        #: The path of the namespace that a name means, where it does not mean the one under /run/netns.
        self.sources: dict[str, str] = {}
        #: Files below /etc/netns.
        self.files: dict[str, str] = {}
        #: Files with keys of WireGuard.
        self.key_files: dict[str, bytes] = {}
        self.cables: dict[LinkId, LinkId] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        self.listeners: list[Callable[[int, Invalidation], None]] = []
        self._equip = tuple(equip)
        self._remove_link = remove_link
        self._end_tunnels = end_tunnels
        self.names[HOST] = self.new_space().cookie

    def new_space(self) -> FakeNamespace:
        """A namespace as it is born: ``lo`` (down), the kernel's rules, the kernel's defaults."""
        space = FakeNamespace(next(self._cookies))
        self.spaces[space.cookie] = space
        space.links[LOOPBACK] = Link(LOOPBACK, "lo", flags=0x8, mtu=65536, mac="00:00:00:00:00:00")
        for equip in self._equip:
            equip(space)
        return space

    def cookie(self, netns: str) -> int | None:
        """The cookie of the namespace that this name means; None where it is not there."""
        return self.find(self.sources.get(netns, NAMES + netns))

    def find(self, source: str) -> int | None:
        """The cookie of the namespace at a path; None where there is none."""
        found = self.names.get(source.removeprefix(NAMES)) if source.startswith(NAMES) else self.paths.get(source)
        return found if found in self.spaces else None

    def space(self, netns: str) -> FakeNamespace:
        """The namespace of that name; KernelError ENOENT."""
        cookie = self.cookie(netns)
        if cookie is None:
            raise kernel_error(errno.ENOENT, f"namespace {netns}")
        return self.spaces[cookie]

    def announce(self, space: FakeNamespace, what: Invalidation) -> None:
        """An event, for all listeners."""
        for listener in list(self.listeners):
            listener(space.cookie, what)

    def add_name(self, netns: str, space: FakeNamespace) -> None:
        """``ip netns add``; KernelError EEXIST."""
        if netns in self.names:
            raise kernel_error(errno.EEXIST, f"namespace {netns}")
        self.names[netns] = space.cookie

    def drop_name(self, netns: str) -> None:
        """``ip netns del``: nothing is left inside, so it ends at once, unless it was only attached."""
        if netns not in self.names:
            raise kernel_error(errno.ENOENT, f"namespace {netns}")
        cookie = self.names.pop(netns)
        if netns in self.attached:
            self.attached.remove(netns)
        else:
            self.end(self.spaces[cookie])

    def end(self, space: FakeNamespace) -> None:
        """Deletes a namespace, with all that is in it."""
        self._end_tunnels(self, space)
        for index in list(space.links):
            if index != LOOPBACK and index in space.links:
                self._remove_link(self, space, index)
        del self.spaces[space.cookie]

    def number(self, here: int, there: int) -> int:
        """The nsid by which one namespace knows another."""
        if (here, there) not in self._numbers:
            used = [number for (space, _), number in self._numbers.items() if space == here]
            self._numbers[here, there] = max(used, default=-1) + 1
        return self._numbers[here, there]

    def mac(self) -> str:
        """A random, locally administered MAC address."""
        return ":".join(["16", *(f"{self.random.randrange(256):02x}" for _ in range(5))])
