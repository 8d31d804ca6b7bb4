"""The kernel as the engine sees it: namespaces to open, operations to carry out, and what changed since.

Reading is pure: nothing is created, assigned or written. Watching begins with ``start_watching``, in the daemon only.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, suppress

from netd.errors import Changed, KernelError, as_kernel_error, kernel_error
from netd.model import operations as do
from netd.model.firewall import Firewall
from netd.model.invalidation import Invalidation
from netd.model.key import LinkName
from netd.model.operations import Operation
from netd.model.wireguard import KeyFile

from .announce.announcer import Announcement, Announcer
from .batch import Batch
from .conntrack.cleanup import FlowCleanup
from .etc_files import EtcWatch
from .events import Events
from .explain import explained
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
from .rtnl.shed_ipv6 import shed_ipv6
from .session import Answer, Session
from .sysctl.files import SysctlDirectories
from .sysctl.watch import SysctlWatch
from .wireguard import key_files

#: Open descriptors of sysctl directories, at most: a fraction of what the process may have open.
DIRECTORY_SHARE = 0.5


class Kernel:
    """``directory`` is where ``ip netns`` keeps its names. ``host_mounts``: mount where process 1 sees it."""

    def __init__(self, directory: str = "/run/netns", *, host_mounts: bool = False) -> None:
        self._mounts = Mounts(host_mounts)
        self.home = HomeNamespace()
        # A command may have few descriptors: each of these takes its share of what there are.
        self.directories = SysctlDirectories(min(256, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 5))
        self._directory = directory
        self._names = NamedNamespaces(directory, self.home, self._mounts, loopback_up)
        self._sources: dict[str, str] = {}
        self._host_cookie = self.cookie_of_namespace(None)
        self._watched: dict[str, int] = {}
        self._entries: dict[tuple[str, str, int], Set[str]] = {}
        self._routes: dict[tuple[str, int], set[str]] = {}
        self._events: Events | None = None
        self._namespace_watch: NamespaceWatch | None = None
        self._sysctls: SysctlWatch | None = None
        self._etc: EtcWatch | None = None
        self._poll = select.poll()
        #: Told of what goes wrong in the background, in whichever thread that is.
        self.report: Callable[[str], None] = lambda text: None
        self._announcer = Announcer(self.home, self.descriptor, lambda text: self.report(text))
        self.flows = FlowCleanup(self.home, self.descriptor, lambda text: self.report(text))

    def attach(self, netns: str, source: str | None) -> None:
        """From now on this name means the namespace at ``source``: "/path", "pid:N", or "" for none. None ends that."""
        if source is not None:
            self._sources[netns] = source
        else:
            self._sources.pop(netns, None)
        if self._namespace_watch is not None:
            self._namespace_watch.follow(netns, source or "")

    def attached(self, netns: str) -> bool | None:
        """Whether ``ip netns`` knows an attached namespace by its name; None: a foreign entry has that name."""
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
        """The cookie of the namespace at ``source`` ("/path" or "pid:N"); None where there is none."""
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
            return self.cookie_of_namespace(descriptor)
        finally:
            os.close(descriptor)

    def cookie_of_namespace(self, descriptor: int | None) -> int:
        """The cookie of the namespace behind a descriptor (None: this one), by a short-lived socket; KernelError."""
        with as_kernel_error("opening a socket in a namespace"), inside_or_here(self.home, descriptor):
            one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        try:
            return cookie_of(one)
        finally:
            one.close()

    def inhabitants(self, cookies: Collection[int]) -> Mapping[int, list[Inhabitant]]:
        """The processes in each of these namespaces, wherever its name leads now."""
        named: set[int] = set()
        with suppress(OSError):
            found = (self.home.identity(self.entry_path(name)) for name in os.listdir(self._directory))
            named = {identity[1] for identity in found if identity is not None}
        return inhabitants(cookies, self._cookie_at, named)

    def names(self) -> list[str]:
        """All namespaces that ``ip netns`` knows, whoever made them; KernelError."""
        with suppress(OSError):
            return sorted(name for name in os.listdir(self._directory) if self.cookie(name) is not None)
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
        with as_kernel_error(f"opening namespace {netns}" if netns else "opening the host's namespace"):
            session = Session(self, netns, self.descriptor(netns) if netns else None)
        try:
            yield session
        finally:
            session.close()

    def deferred_closes(self) -> AbstractContextManager[None]:
        """Sockets of nftables are closed after this ``with``: a close delays the next transaction."""
        return nfnetlink.deferred_closes()

    def key_file(self, path: str) -> KeyFile | None:
        """The digests of the key of WireGuard in a file, None where there is no file."""
        return key_files.look(path)

    def firewall(self, netns: str) -> Firewall:
        """The rules of nftables and legacy iptables there; only reads."""
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
        """Executes operations in order, in the session's namespace.

        One answer each: a Link for CreateLink, None for the others, an error as a value. ``index_of(netns, name)`` is
        the index of a link that was there before, 0 where none is known.
        """
        answers = Batch(session, index_of, self.execute_namespace, self.flows.start).run(operations)
        pairs = zip(answers, operations, strict=True)
        return [explained(answer, operation, session) for answer, operation in pairs]

    def prepare_deletions(self, session: Session, indexes: Collection[int]) -> Iterator[None]:
        """Before many links are deleted there: their number must not count twice. Yields between portions."""
        links = session.links_at(indexes).values()
        peers = {link.link for link in links if link.kind == "veth" and link.link_netnsid is None}
        yield from shed_ipv6(session.rtnl, sorted({*indexes, *peers}))

    def execute_namespace(self, operation: Operation, on_cookie: Callable[[int], None] = lambda cookie: None) -> Answer:
        """Creates, deletes, attaches or detaches a namespace; an error is returned as a value.

        ``on_cookie`` is called with the cookie of a new namespace before it gets its name. Until it has one, it ends
        with this process.
        """
        try:
            self._execute_namespace(operation, on_cookie)
        except KernelError as error:
            return explained(error, operation)
        return None

    def _execute_namespace(self, operation: Operation, on_cookie: Callable[[int], None]) -> None:
        netns = operation.netns
        if isinstance(operation, do.CreateNamespace):
            with self._expecting(netns, created=True):
                self._names.create(netns, operation.ipv6, on_cookie)
            if self._events is not None:
                self.watch(netns)
        elif isinstance(operation, do.DeleteNamespace):
            with self._expecting(netns, created=False):
                self._names.delete(netns, operation.cookie, self._cookie_at)
            self.stop_watching(netns)
        elif isinstance(operation, do.AttachNamespace):
            self._names.attach(netns, self._sources.get(netns, ""))
            self._follow_process(netns)
        elif isinstance(operation, do.DetachNamespace):
            self._names.detach(netns, operation.cookie, self._cookie_at)
            self._follow_process(netns)
        else:
            raise kernel_error(errno.EOPNOTSUPP, type(operation).__name__)

    @contextmanager
    def _expecting(self, netns: str, created: bool) -> Iterator[None]:
        """The event that a change of a name causes is expected, and so not reported."""
        path = f"{self._directory}/{netns}"
        before = os.path.lexists(path)
        yield
        if self._namespace_watch is not None and before is not created and os.path.lexists(path) is created:
            self._namespace_watch.expect(netns, created)

    def _follow_process(self, netns: str) -> None:
        if self._namespace_watch is not None:
            self._namespace_watch.watch_process(netns, self._names.process(netns) if netns in self._sources else None)

    def start_watching(self) -> list[int]:
        """Starts to watch; returns the descriptors for ``loop.add_reader``, each with ``drain`` as its callback."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        self.directories.limit = int(min(soft, 1 << 16) * DIRECTORY_SHARE)
        self._events = Events(
            lambda what, netns, index: self._entries.get((what, netns, index), frozenset()),
            self.followed_routes,
            self.home.descriptor,
        )
        self._namespace_watch = NamespaceWatch(self._directory, self.home, self._mounts)
        self._sysctls = SysctlWatch()
        self._etc = EtcWatch()
        for netns, source in self._sources.items():
            self._namespace_watch.follow(netns, source)
        for descriptor, wanted in self._namespace_watch.poll_events().items():
            self._poll.register(descriptor, wanted)
        for descriptor in (*self._events.descriptors(), self._sysctls.descriptor, self._etc.descriptor):
            self._poll.register(descriptor, select.POLLIN)
        watches = (*self._namespace_watch.descriptors(), self._sysctls.descriptor, self._etc.descriptor)
        return [*self._events.descriptors(), *watches]

    @property
    def blind(self) -> str:
        """Why not all changes are reported, "" where they are."""
        watches = (self._namespace_watch, self._sysctls, self._etc)
        return next((one.trouble for one in watches if one is not None and one.trouble), "")

    def watch(self, netns: str, known: int | None = None) -> None:
        """From now on changes in it are reported. Idempotent; a new namespace of the same name is watched instead.

        ``known`` is its cookie, if the caller has just read it.
        """
        if self._events is None or self._namespace_watch is None or not netns:
            return
        same = known is not None and self._watched.get(netns) == known
        if same and netns not in self._sources and self._events.assigned(netns):
            return
        descriptor = self.descriptor(netns)
        try:
            cookie = self.cookie_of_namespace(descriptor)
            if self._watched.get(netns) != cookie or not self._events.assigned(netns):
                self._unwatch(netns)
                self._events.assign(netns, descriptor, cookie == self._host_cookie)
                self._watched[netns] = cookie
                self._namespace_watch.watch(netns, self._path(netns))
        finally:
            os.close(descriptor)
        if netns in self._sources:
            self._follow_process(netns)

    def watch_sysctl(self, session: Session, path: str) -> None:
        """A write to that key by user space is reported; ignored where there is no such key."""
        if self._sysctls is not None:
            self._sysctls.watch(session.netns, path, session.sysctls)

    def watch_file(self, path: str) -> None:
        """A change of a file below /etc/netns is reported."""
        if self._etc is not None:
            self._etc.watch(path)

    def stop_watching(self, netns: str) -> None:
        """Changes in it are reported no longer, and nothing is kept of it."""
        self._unwatch(netns)
        if self._namespace_watch is not None:
            self._namespace_watch.forget(netns)
            self._namespace_watch.watch_process(netns, None)

    def _unwatch(self, netns: str) -> None:
        cookie = self._watched.pop(netns, None)
        if cookie is not None and cookie not in self._watched.values():
            self.directories.forget(cookie)
        for key in [key for key in self._entries if key[1] == netns]:
            del self._entries[key]
        for route_key in [route_key for route_key in self._routes if route_key[0] == netns]:
            del self._routes[route_key]
        if self._events is not None:
            self._events.release(netns)
        if self._sysctls is not None:
            self._sysctls.forget(netns)

    def followed_routes(self, netns: str, family: int) -> set[str]:
        """Names of the routes of which events are reported (``ANY_ROUTE``: of all); for the reader to add to."""
        return self._routes.setdefault((netns, family), set())

    def read_entries(self, netns: str, index: int, what: str, found: set[str]) -> None:
        """These static neighbors (or fdb entries) were read: from now on events about their addresses are reported."""
        if self._events is None:
            return
        if found:
            self._entries[what, netns, index] = frozenset(found)
        else:
            self._entries.pop((what, netns, index), None)

    @property
    def needs_drain(self) -> bool:
        """Whether ``drain`` is to be called once more, although no descriptor is readable."""
        return self._namespace_watch is not None and self._namespace_watch.needs_drain

    def drain(self) -> list[Invalidation]:
        """What is to be read again, each once, in the order it changed; never blocks."""
        if self._events is None or self._namespace_watch is None or self._sysctls is None or self._etc is None:
            return []
        found: dict[Invalidation, None] = {}
        # One call asks all of them: mostly one is readable.
        ready = {descriptor for descriptor, _ in self._poll.poll(0)}
        if ready or self.needs_drain:
            for one in (self._namespace_watch, self._events, self._sysctls, self._etc):
                found.update(dict.fromkeys(one.drain(ready)))
        return list(found)

    def culprit(self, netns: str) -> str:
        """The process that last changed nftables there, netd aside; "" where none is known."""
        return "" if self._events is None else self._events.last_nft_culprit.get(netns, "")

    def announce(self, addresses: Iterable[tuple[LinkName, str]]) -> None:
        """Tells the segments of these links which MAC has these addresses now: soon, and twice more."""
        self._announcer.announce(Announcement(*link, address) for link, address in addresses)

    def finish(self) -> None:
        """Returns when what runs in the background is done: before a command ends."""
        self.flows.finish()
        self._announcer.finish()

    def close(self) -> None:
        """Closes everything; the network stays as it is."""
        self.flows.finish()
        self._announcer.close()
        for one in (self._events, self._namespace_watch, self._sysctls, self._etc):
            if one is not None:
                one.close()
        self._events = self._namespace_watch = self._sysctls = self._etc = None
        self._poll = select.poll()
        self.directories.close()
        self._mounts.close()
        self.home.close()


@contextmanager
def inside_or_here(home: HomeNamespace, descriptor: int | None) -> Iterator[None]:
    """``home.inside``; without a descriptor, the namespace of the calling thread."""
    if descriptor is None:
        yield
        return
    with home.inside(descriptor):
        yield
