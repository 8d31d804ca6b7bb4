"""The kernel as the engine sees it: namespaces to open, operations to carry out, and what changed since.

Reading is pure: nothing is created, assigned or written. Watching begins with ``start_watching``, in the daemon only.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from netd.errors import Changed, KernelError, as_kernel_error, kernel_error
from netd.model import operations as do
from netd.model.firewall import Firewall
from netd.model.invalidation import Invalidation
from netd.model.operations import Operation

from .batch import Batch
from .events import Events
from .netns.inhabitants import Inhabitant, inhabitants
from .netns.mount import Mounts
from .netns.named import NamedNamespaces
from .netns.setns import HomeNamespace, open_descriptor, source_path
from .netns.watch import NamespaceWatch
from .nft import iptables_legacy as legacy
from .nft import libnftables as nft
from .nft import nfnetlink
from .rtnl.loopback import loopback_up
from .rtnl.netlink_socket import cookie_of
from .session import Answer, Session
from .sysctl.files import SysctlDirectories
from .sysctl.watch import SysctlWatch

#: Descriptors of sysctl folders that are kept, as a share of what the process may have open.
FOLDER_SHARE = 0.5


class Kernel:
    """``folder`` is where ``ip netns`` keeps its names. ``host_mounts``: it is mounted in for process 1 to see."""

    def __init__(self, folder: str = "/run/netns", *, host_mounts: bool = False) -> None:
        self._mounts = Mounts(host_mounts)
        self.home = HomeNamespace()
        self.folders = SysctlDirectories()
        self._folder = folder
        self._names = NamedNamespaces(folder, self.home, self._mounts, loopback_up)
        self._sources: dict[str, str] = {}
        self._host_cookie = self._cookie_of(None)
        self._watched: dict[str, int] = {}
        self._entries: dict[tuple[str, str, int], frozenset[str]] = {}
        self._events: Events | None = None
        self._places: NamespaceWatch | None = None
        self._sysctls: SysctlWatch | None = None
        self._poll = select.poll()

    def attach(self, netns: str, source: str | None) -> None:
        """This name is found at ``source`` ("/path" or "pid:N", "" nowhere) from now on; None forgets that."""
        if source is not None:
            self._sources[netns] = source
        else:
            self._sources.pop(netns, None)
        if self._places is not None:
            self._places.follow(netns, source or "")

    def attached(self, netns: str) -> bool | None:
        """Whether ``ip netns`` knows an attached namespace by its name; None: another's entry of that name."""
        return self._names.state(netns, self._sources.get(netns, ""))

    def entry(self, netns: str) -> int | None:
        """The cookie of what ``ip netns`` knows by this name; 0 for a link to a process that has ended."""
        cookie = self._cookie_at(self._names.path(netns))
        return 0 if cookie is None and self._names.process(netns) is not None else cookie

    def cookie(self, netns: str) -> int | None:
        """The identity of a namespace; None where it is not there."""
        if not netns:
            return self._host_cookie
        return self._cookie_at(self._path(netns))

    def find(self, source: str) -> int | None:
        """The cookie of the namespace at that place ("/path" or "pid:N"); None where there is none."""
        return self._cookie_at(source_path(source))

    def entry_path(self, netns: str) -> str:
        """Where ``ip netns`` looks for a name."""
        return self._names.path(netns)

    def _path(self, netns: str) -> str:
        source = self._sources.get(netns)
        return self.entry_path(netns) if source is None else source_path(source)

    def _cookie_at(self, path: str) -> int | None:
        try:
            descriptor = open_descriptor(path, path, self.home.device)
        except Changed:
            return None
        try:
            return self._cookie_of(descriptor)
        finally:
            os.close(descriptor)

    def _cookie_of(self, descriptor: int | None) -> int:
        """By a socket that lives for this moment only; KernelError."""
        with as_kernel_error("a socket in a namespace"), nullable(self.home, descriptor):
            one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        try:
            return cookie_of(one)
        finally:
            one.close()

    def inhabitants(self, cookies: Collection[int]) -> Mapping[int, list[Inhabitant]]:
        """The processes in each of these namespaces, wherever its name leads now."""
        named: set[int] = set()
        with suppress(OSError):
            found = (self.home.identity(self.entry_path(name)) for name in os.listdir(self._folder))
            named = {identity[1] for identity in found if identity is not None}
        return inhabitants(cookies, self._cookie_at, named)

    def names(self) -> list[str]:
        """All namespaces that ``ip netns`` knows, netd's and others'; KernelError."""
        with suppress(OSError):
            return sorted(name for name in os.listdir(self._folder) if self.cookie(name) is not None)
        return []

    def has_legacy(self, netns: str) -> bool:
        """Whether legacy iptables has a filter table there: its changes cause no event."""
        try:
            with self.open(netns) as session:
                return session.inside(legacy.loaded)
        except KernelError:
            return False

    def descriptor(self, netns: str) -> int:
        """A descriptor of a namespace, to be closed at once after use; KernelError ENOENT where it is not there."""
        if not netns:
            return os.dup(self.home.descriptor)
        return open_descriptor(self._path(netns), netns, self.home.device)

    @contextmanager
    def open(self, netns: str) -> Iterator[Session]:
        """A namespace for the length of a ``with``; KernelError ENOENT (Changed) where it is not there."""
        with as_kernel_error(f"namespace {netns}" if netns else "the host"):
            session = Session(self, netns, self.descriptor(netns) if netns else None)
        try:
            yield session
        finally:
            session.close()

    def undisturbed(self) -> AbstractContextManager[None]:
        """What nftables left to be closed is closed after this: a close holds up the next transaction."""
        return nfnetlink.no_closing()

    def firewall(self, netns: str) -> Firewall:
        """What nftables and legacy iptables say there; only reads."""
        with as_kernel_error("reading nftables"):
            if not netns:
                return nft.read()
            descriptor = self.descriptor(netns)
            try:
                with self.home.inside(descriptor):
                    return nft.read()
            finally:
                os.close(descriptor)

    def execute(
        self, session: Session, operations: Sequence[Operation], index_of: Callable[[str, str], int]
    ) -> list[Answer]:
        """Carries them out in order, in the session's namespace.

        One answer each: a Link for CreateLink, None for the others, an error as a value. ``index_of(netns, name)`` is
        the index of a link that was there before, 0 where none is known.
        """
        return Batch(session, index_of, self.execute_namespace).run(operations)

    def execute_namespace(self, operation: Operation, naming: Callable[[int], None] = lambda cookie: None) -> Answer:
        """Creates, deletes, attaches or detaches; an error is a value.

        ``naming`` is told the cookie of a new namespace before it gets its name: until then it ends with this process.
        """
        try:
            self._execute_namespace(operation, naming)
        except KernelError as error:
            return error
        return None

    def _execute_namespace(self, operation: Operation, naming: Callable[[int], None]) -> None:
        netns = operation.netns
        if isinstance(operation, do.CreateNamespace):
            with self._own(netns, created=True):
                self._names.create(netns, operation.ipv6, naming)
            if self._events is not None:
                self.watch(netns)
        elif isinstance(operation, do.DeleteNamespace):
            with self._own(netns, created=False):
                self._names.delete(netns, operation.cookie, self._cookie_at)
            self.forget(netns)
        elif isinstance(operation, do.AttachNamespace):
            self._names.attach(netns, self._sources.get(netns, ""))
            self._follow_process(netns)
        elif isinstance(operation, do.DetachNamespace):
            self._names.detach(netns, operation.cookie, self._cookie_at)
            self._follow_process(netns)
        else:
            raise kernel_error(errno.EOPNOTSUPP, type(operation).__name__)

    @contextmanager
    def _own(self, netns: str, created: bool) -> Iterator[None]:
        """The event that success will cause is expected."""
        path = f"{self._folder}/{netns}"
        before = os.path.lexists(path)
        yield
        if self._places is not None and before is not created and os.path.lexists(path) is created:
            self._places.own(netns, created)

    def _follow_process(self, netns: str) -> None:
        if self._places is not None:
            self._places.watch_process(netns, self._names.process(netns) if netns in self._sources else None)

    def start_watching(self) -> list[int]:
        """Begins; the descriptors are for ``loop.add_reader``, each calling ``drain``."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        self.folders.limit = int(min(soft, 1 << 16) * FOLDER_SHARE)
        self._events = Events(
            lambda what, netns, index: self._entries.get((what, netns, index), frozenset()), self.home.descriptor
        )
        self._places = NamespaceWatch(self._folder, self.home, self._mounts)
        self._sysctls = SysctlWatch()
        for netns, source in self._sources.items():
            self._places.follow(netns, source)
        for descriptor, wanted in self._places.asked().items():
            self._poll.register(descriptor, wanted)
        for descriptor in (*self._events.descriptors(), self._sysctls.descriptor):
            self._poll.register(descriptor, select.POLLIN)
        return [*self._events.descriptors(), *self._places.descriptors(), self._sysctls.descriptor]

    def watch(self, netns: str, known: int | None = None) -> None:
        """From now on its changes are reported. Idempotent; a namespace that was made again is watched anew.

        ``known`` is its cookie, by one who has just read it.
        """
        if self._events is None or self._places is None or not netns:
            return
        same = known is not None and self._watched.get(netns) == known
        if same and netns not in self._sources and self._events.assigned(netns):
            return
        descriptor = self.descriptor(netns)
        try:
            cookie = self._cookie_of(descriptor)
            if self._watched.get(netns) != cookie or not self._events.assigned(netns):
                self._unwatch(netns)
                self._events.assign(netns, descriptor, cookie == self._host_cookie)
                self._watched[netns] = cookie
                self._places.watch(netns, self._path(netns))
        finally:
            os.close(descriptor)
        if netns in self._sources:
            self._follow_process(netns)

    def watch_sysctl(self, session: Session, path: str) -> None:
        """A write to that key by user space is reported; silently skipped where there is no such key."""
        if self._sysctls is not None:
            self._sysctls.watch(session.netns, path, session.sysctls)

    def forget(self, netns: str) -> None:
        """Nothing more of it is reported, and nothing kept."""
        self._unwatch(netns)
        if self._places is not None:
            self._places.forget(netns)
            self._places.watch_process(netns, None)

    def _unwatch(self, netns: str) -> None:
        cookie = self._watched.pop(netns, None)
        if cookie is not None and cookie not in self._watched.values():
            self.folders.forget(cookie)
        for key in [key for key in self._entries if key[1] == netns]:
            del self._entries[key]
        if self._events is not None:
            self._events.release(netns)
        if self._sysctls is not None:
            self._sysctls.forget(netns)

    def read_entries(self, netns: str, index: int, what: str, found: set[str]) -> None:
        """A session read these static neighbours (or fdb entries): events of the same addresses count from now on."""
        if self._events is None:
            return
        if found:
            self._entries[what, netns, index] = frozenset(found)
        else:
            self._entries.pop((what, netns, index), None)

    @property
    def restless(self) -> bool:
        """Whether ``drain`` is to be called once more, though no descriptor says so."""
        return self._places is not None and self._places.restless

    def drain(self) -> list[Invalidation]:
        """What is to be read again, each once, in the order it changed; never blocks."""
        if self._events is None or self._places is None or self._sysctls is None:
            return []
        found: dict[Invalidation, None] = {}
        # One call asks them all: most of the time one has something to say.
        ready = {descriptor for descriptor, _ in self._poll.poll(0)}
        if ready or self.restless:
            for source in (self._places.drain, self._events.drain, self._sysctls.drain):
                found.update(dict.fromkeys(source(ready)))
        return list(found)

    def culprit(self, netns: str) -> str:
        """The process behind the last foreign change of nftables there; "" where none is known."""
        return "" if self._events is None else self._events.last_nft_culprit.get(netns, "")

    def close(self) -> None:
        """Lets go of everything; the network stays."""
        for one in (self._events, self._places, self._sysctls):
            if one is not None:
                one.close()
        self._events = self._places = self._sysctls = None
        self._poll = select.poll()
        self.folders.close()
        self._mounts.close()
        self.home.close()


@contextmanager
def nullable(home: HomeNamespace, descriptor: int | None) -> Iterator[None]:
    """``home.inside``, or here where there is no descriptor."""
    if descriptor is None:
        yield
        return
    with home.inside(descriptor):
        yield
