"""A ``FakeMachine`` as one process sees it: the same methods as ``netd.kernel.kernel.Kernel``."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from netd.errors import KernelError, kernel_error
from netd.kernel.netns.inhabitants import Inhabitant
from netd.model import operations as do
from netd.model.firewall import Firewall
from netd.model.invalidation import EVERYTHING, Invalidation
from netd.model.key import HOST, LinkName
from netd.model.operations import Operation
from netd.model.wireguard import KeyFile

from . import entries, firewall, link_state, links, sysctls, wireguard
from .batch import Answer, FakeBatch, IndexOf
from .machine import FakeMachine
from .session import FakeSession
from .space import LOOPBACK, NAMES


def fake_machine(seed: int = 0) -> FakeMachine:
    """A machine with one namespace, the host's; ``seed`` chooses its MAC addresses."""
    return FakeMachine((entries.equip, sysctls.equip), links.remove, links.end_tunnels, seed)


class FakeKernel:
    """``deaf``: events are lost until ``overrun`` says so, as a full socket does."""

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.deaf = False
        self._listening = False
        self._watched: dict[str, int] = {}
        self._heard: dict[Invalidation, None] = {}
        self._quiet = False

    def followed_routes(self, netns: str, family: int) -> set[str]:
        """Here all of them are followed."""
        return set()

    def attach(self, netns: str, source: str | None) -> None:
        """From now on the name means the namespace at that path ("" for none). None ends that."""
        if source is not None:
            self.machine.sources[netns] = source
        else:
            self.machine.sources.pop(netns, None)

    def attached(self, netns: str) -> bool | None:
        """Whether the name stands for what is at its source: True, False (not, or no longer), None (foreign)."""
        if not self.machine.sources.get(netns) or netns not in self.machine.names:
            return False
        if self.machine.names[netns] == self.machine.cookie(netns):
            return True
        return False if netns in self.machine.attached else None

    def entry(self, netns: str) -> int | None:
        """The cookie of the namespace with this name."""
        return self.machine.names.get(netns)

    def cookie(self, netns: str) -> int | None:
        """The identity of a namespace; None where it is not there."""
        return self.machine.cookie(netns)

    def find(self, source: str) -> int | None:
        """The cookie of the namespace at that path; None where there is none."""
        return self.machine.find(source)

    def entry_path(self, netns: str) -> str:
        """Where ``ip netns`` looks for a name."""
        return NAMES + netns

    def names(self) -> list[str]:
        """All namespaces with a name."""
        return sorted(name for name in self.machine.names if name != HOST and self.machine.cookie(name) is not None)

    def inhabitants(self, cookies: Collection[int]) -> Mapping[int, list[Inhabitant]]:
        """No process runs in this kernel."""
        return {}

    def has_legacy(self, netns: str) -> bool:
        """Whether legacy iptables has a filter table there."""
        cookie = self.machine.cookie(netns)
        return cookie is not None and any(chain.legacy for chain in self.machine.spaces[cookie].firewall.chains)

    @contextmanager
    def open(self, netns: str) -> Iterator[FakeSession]:
        """A namespace for the length of a ``with``; KernelError ENOENT."""
        yield FakeSession(self.machine, netns, self.machine.space(netns))

    def deferred_closes(self) -> AbstractContextManager[None]:
        """No close delays anything here."""
        return nullcontext()

    def prepare_deletions(self, session: FakeSession, indexes: Collection[int]) -> Iterator[None]:
        """A deletion costs the same here, however many follow."""
        return iter(())

    def key_file(self, path: str) -> KeyFile | None:
        """The digests of the key in a file."""
        return wireguard.key_file(self.machine, path)

    def firewall(self, netns: str) -> Firewall:
        """The rules of nftables there."""
        return firewall.read(self.machine.space(netns))

    def execute(self, session: FakeSession, operations: Sequence[Operation], index_of: IndexOf) -> list[Answer]:
        """One answer per operation, errors as values."""
        return FakeBatch(session, index_of).run(operations)

    def execute_namespace(self, operation: Operation, on_cookie: Callable[[int], None] = lambda cookie: None) -> Answer:
        """Creates, deletes, attaches or detaches; an error is a value."""
        try:
            if isinstance(operation, do.CreateNamespace):
                self._create(operation, on_cookie)
            elif isinstance(operation, do.DeleteNamespace):
                self._delete(operation)
            elif isinstance(operation, do.AttachNamespace):
                self._attach(operation.netns)
            elif isinstance(operation, do.DetachNamespace):
                self._detach(operation.netns, operation.cookie)
            else:
                raise kernel_error(errno.EOPNOTSUPP, type(operation).__name__)
        except KernelError as error:
            return error
        return None

    def _create(self, operation: do.CreateNamespace, on_cookie: Callable[[int], None]) -> None:
        space = self.machine.new_space()
        if not operation.ipv6:
            sysctls.write(self.machine, space, "net/ipv6/conf/all/disable_ipv6", "1")
        link_state.set_up(self.machine, space, LOOPBACK, True)
        on_cookie(space.cookie)
        try:
            self.machine.add_name(operation.netns, space)
        except KernelError:
            del self.machine.spaces[space.cookie]
            raise
        self.named(operation.netns)
        if self._listening:
            self.watch(operation.netns)

    def _delete(self, operation: do.DeleteNamespace) -> None:
        cookie = self.machine.names.get(operation.netns)
        if cookie is None:
            return
        if cookie != operation.cookie:
            raise kernel_error(errno.ENOENT, f"{operation.netns} is another namespace now")
        self.machine.drop_name(operation.netns)
        self.stop_watching(operation.netns)

    def _attach(self, netns: str) -> None:
        if not self.machine.sources.get(netns):
            raise kernel_error(errno.ENOENT, f"namespace {netns}")
        state = self.attached(netns)
        if state is None:
            raise kernel_error(errno.EEXIST, f"{netns} belongs to another process")
        if not state:
            self.machine.names[netns] = self.machine.space(netns).cookie
            self.machine.attached.add(netns)
            self.named(netns)

    def _detach(self, netns: str, cookie: int) -> None:
        if self.machine.names.get(netns) == cookie:
            self.machine.drop_name(netns)
            self.named(netns)

    def named(self, netns: str) -> None:
        """A name was added or removed: other processes are told."""
        for listener in self.machine.listeners:
            if listener != self._hear:
                listener(0, Invalidation("namespace", netns))

    def someone_adds(self, netns: str) -> None:
        """``ip netns add``, by another process."""
        self.machine.add_name(netns, self.machine.new_space())
        self._hear(0, Invalidation("namespace", netns))

    def someone_deletes(self, netns: str) -> None:
        """``ip netns del``, by another process."""
        self.machine.drop_name(netns)
        self._hear(0, Invalidation("namespace", netns))

    def someone_opens(self, path: str) -> None:
        """A container engine creates a namespace, and shows it at that path."""
        self.machine.paths[path] = self.machine.new_space().cookie
        self._announce(path)

    def someone_closes(self, path: str) -> None:
        """The container engine deletes it."""
        self.machine.end(self.machine.spaces[self.machine.paths.pop(path)])
        self._announce(path)

    def _announce(self, path: str) -> None:
        for netns, source in self.machine.sources.items():
            if source == path:
                self._hear(0, Invalidation("namespace", netns))

    # Events

    def start_watching(self) -> list[int]:
        """From now on changes are collected; there is no descriptor."""
        self._listening = True
        self._watched[HOST] = self.machine.names[HOST]
        self.machine.listeners.append(self._hear)
        return []

    def watch(self, netns: str, known: int | None = None) -> None:
        """From now on changes there are collected."""
        cookie = self.machine.cookie(netns)
        if self._listening and cookie is not None:
            self._watched[netns] = cookie

    def watch_sysctl(self, session: FakeSession, path: str) -> None:
        """All changes are collected."""

    def watch_file(self, path: str) -> None:
        """All are watched."""

    def stop_watching(self, netns: str) -> None:
        """Changes there are collected no longer."""
        self._watched.pop(netns, None)

    def read_entries(self, netns: str, index: int, what: str, found: set[str]) -> None:
        """Events about all entries are collected."""

    def _hear(self, cookie: int, what: Invalidation) -> None:
        if self.deaf or not self._listening:
            return
        if what.what == "namespace":
            self._heard[what] = None
            return
        for netns, known in self._watched.items():
            if known == cookie:
                self._heard[replace(what, netns=netns)] = None

    def overrun(self) -> None:
        """Events were lost: everything is to be read again."""
        self.deaf = False
        self._heard[EVERYTHING] = None

    def drain(self) -> list[Invalidation]:
        """What is to be read again, each once."""
        heard, self._heard = list(self._heard), {}
        return heard

    def announce(self, addresses: Iterable[tuple[LinkName, str]]) -> None:
        """Nobody listens here."""

    def culprit(self, netns: str) -> str:
        """No process is known."""
        return ""

    def finish(self) -> None:
        """Nothing runs in the background."""

    def close(self) -> None:
        """Stops watching; the machine stays as it is."""
        if self._hear in self.machine.listeners:
            self.machine.listeners.remove(self._hear)
        self._listening = False
        self.machine.sources.clear()
