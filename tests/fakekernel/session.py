"""One pretended namespace for the length of a ``with``: the same methods as ``netd.kernel.session.Session``."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netd.errors import KernelError, kernel_error
from netd.kernel.rtnl.wire import RT_TABLE_MAIN, RTPROT_KERNEL, family_of
from netd.kernel.session import leaves_by
from netd.model import operations as do
from netd.model.state import Address, FdbEntry, Link, Neighbor, Nexthop, PolicyRule, Route
from tests.fakekernel.machine import FakeMachine, FakeNamespace

from . import addresses, entries, firewall, links, routes, sysctls

if TYPE_CHECKING:
    from tests.fakekernel.kernel import FakeKernel

Answer = KernelError | Link | None
IndexOf = Callable[[str, str], int]


class FakeSession:
    """Made by ``FakeKernel.open``."""

    def __init__(self, kernel: FakeKernel, netns: str, space: FakeNamespace) -> None:
        self.kernel = kernel
        self.netns = netns
        self.space = space

    def links(self) -> list[Link]:
        """All links."""
        return [links.shown(self._machine, self.space, link) for link in self.space.links.values()]

    @property
    def _machine(self) -> FakeMachine:
        return self.kernel.machine

    def link(self, index: int) -> Link | None:
        """The link of that index."""
        found = self.space.links.get(index)
        return links.shown(self._machine, self.space, found) if found is not None else None

    def links_at(self, indexes: Collection[int]) -> dict[int, Link]:
        """Those of these links that are there."""
        return {index: link for index in indexes if (link := self.link(index)) is not None}

    def link_named(self, name: str) -> Link | None:
        """The link of that name."""
        found = self.space.named(name)
        return links.shown(self._machine, self.space, found) if found is not None else None

    def addresses(self, index: int = 0) -> list[Address]:
        """The addresses of one link, or of all (0)."""
        found = self.space.addresses
        return [one for at in ([index] if index else list(found)) for one in found.get(at, {}).values()]

    def connected(self, index: int, family: int) -> list[Route]:
        """The kernel's own routes of one link, or of all (0), of one family."""
        own = [one for one in self.routes(RT_TABLE_MAIN, family) if one.protocol == RTPROT_KERNEL]
        return [one for one in own if not index or any(hop.index == index for hop in one.nexthops)]

    def routes(self, table: int, *families: int) -> list[Route]:
        """One table of these families (none: both)."""
        return [one for one in self.space.routes if one.table == table and (not families or one.family in families)]

    def rules(self) -> list[PolicyRule]:
        """The rules of both families."""
        return sorted(self.space.rules, key=lambda one: (one.family, one.priority))

    def neighbors(self, index: int) -> list[Neighbor]:
        """The permanent entries of one link."""
        return [one for (at, _), one in self.space.neighbors.items() if at == index]

    def kept_neighbors(self, index: int, family: int = socket.AF_UNSPEC) -> list[Neighbor]:
        """The same: nobody answers for others here."""
        return [one for one in self.neighbors(index) if family in (socket.AF_UNSPEC, family_of(one.address))]

    def routes_through(self, index: int, *families: int) -> list[Route]:
        """Of all tables and these families (none: both), but the kernel's own."""
        found = [one for one in self.space.routes if leaves_by(one, index)]
        return [one for one in found if not families or one.family in families]

    def fdb(self, index: int) -> list[FdbEntry]:
        """The static entries with a remote."""
        return [entries.shown(one) for one in self.space.fdb.get(index, [])]

    def sysctl(self, path: str) -> str | None:
        """The value of a key; None where there is none."""
        return self.space.sysctls.get(path)

    def watch_sysctl(self, path: str) -> None:
        """All are heard."""

    def nsid(self, other: str) -> int | None:
        """The number that this namespace knows another by."""
        cookie = self._machine.cookie(other)
        return None if cookie is None else self._machine.number(self.space.cookie, cookie)

    def execute(self, operations: Sequence[do.Operation], index_of: IndexOf) -> list[Answer]:
        """One answer per operation, errors as values."""
        return FakeBatch(self, index_of).run(operations)


class FakeBatch:
    """One call of ``execute``. Names mean the index that they had before, or that an operation gave them since."""

    def __init__(self, session: FakeSession, index_of: IndexOf) -> None:
        self._session = session
        self._machine = session.kernel.machine
        self._space = session.space
        self._index_of = index_of
        self._made: dict[tuple[str, str], int] = {}

    def run(self, operations: Sequence[do.Operation]) -> list[Answer]:
        """In order; an error stops none of the others."""
        answers: list[Answer] = []
        for operation in operations:
            try:
                if self._space.cookie not in self._machine.spaces:
                    raise kernel_error(errno.ENODEV, "")
                answers.append(HANDLERS[type(operation)](self, operation))
            except KernelError as error:
                answers.append(error)
        return answers

    def _index(self, name: str, netns: str | None = None) -> int:
        netns = self._session.netns if netns is None else netns
        found = self._made.get((netns, name)) or self._index_of(netns, name)
        if found <= 0:
            raise kernel_error(errno.ENODEV, name)
        return found

    def _create_link(self, op: do.CreateLink) -> Link:
        lower = self._index(op.dev) if op.dev else 0
        master = self._index(op.settings.master) if op.settings.master else 0
        link = links.create(self._machine, self._space, op, lower, master)
        self._made[op.netns, op.name] = link.index
        shown = links.shown(self._machine, self._space, link)
        if op.peer_name:
            self._made[op.peer_netns, op.peer_name] = shown.link
        return shown

    def _set_link(self, op: do.SetLink) -> None:
        index = self._index(op.name)
        wanted = op.settings.master
        master = None if wanted is None else self._index(wanted, op.settings.netns) if wanted else 0
        links.change(self._machine, self._space, index, op, master)
        if op.settings.name is not None:
            self._made[op.netns, op.settings.name] = index

    def _delete_link(self, op: do.DeleteLink) -> None:
        links.remove(self._machine, self._space, op.index)

    def _put_address(self, op: do.PutAddress) -> None:
        addresses.put(self._machine, self._space, self._index(op.dev), op)

    def _delete_address(self, op: do.DeleteAddress) -> None:
        delete = addresses.delete_alone if op.alone else addresses.delete
        delete(self._machine, self._space, op.index or self._index(op.dev), op.address)

    def _restore_port(self, op: do.RestorePort) -> None:
        self._set_link(do.SetLink(op.netns, op.dev, do.LinkSettings(master=op.master, port=op.port)))

    def _restore_address(self, op: do.RestoreAddress) -> None:
        addresses.restore(self._machine, self._space, self._index(op.dev), op)

    def _create_route(self, op: do.CreateRoute) -> None:
        hops = tuple(
            Nexthop(hop.via, self._index(hop.dev) if hop.dev else 0, hop.weight, hop.onlink) for hop in op.hops
        )
        routes.create(self._machine, self._space, op, hops)

    def _delete_route(self, op: do.DeleteRoute) -> None:
        routes.delete(self._machine, self._space, op.route)

    def _restore_route(self, op: do.RestoreRoute) -> None:
        routes.restore(self._machine, self._space, op.raw, op.was, self._index(op.dev) if op.dev else 0)

    def _create_rule(self, op: do.CreateRule) -> None:
        entries.create_rule(self._machine, self._space, op.rule)

    def _delete_rule(self, op: do.DeleteRule) -> None:
        entries.delete_rule(self._machine, self._space, op.rule)

    def _restore_rule(self, op: do.RestoreRule) -> None:
        entries.restore_rule(self._machine, self._space, op.raw)

    def _put_neighbor(self, op: do.PutNeighbor) -> None:
        entries.put_neighbor(self._machine, self._space, self._index(op.dev), op)

    def _restore_neighbor(self, op: do.RestoreNeighbor) -> None:
        entries.restore_neighbor(self._machine, self._space, self._index(op.dev), op.raw)

    def _delete_neighbor(self, op: do.DeleteNeighbor) -> None:
        entries.delete_neighbor(self._machine, self._space, op.index or self._index(op.dev), op.address)

    def _put_fdb(self, op: do.PutFdb) -> None:
        via = self._index(op.via) if op.via else 0
        entries.put_fdb(self._machine, self._space, self._index(op.dev), op, via)

    def _delete_fdb(self, op: do.DeleteFdb) -> None:
        entries.delete_fdb(self._machine, self._space, op.index or self._index(op.dev), op)

    def _write_sysctl(self, op: do.WriteSysctl) -> None:
        sysctls.write(self._machine, self._space, op.path, op.value)

    def _run_nft(self, op: do.RunNft) -> None:
        firewall.run(self._machine, self._space, op.text)

    def _legacy_accept(self, op: do.LegacyAccept) -> None:
        firewall.run_legacy(self._space, op)


HANDLERS: Mapping[type[do.Operation], Callable[[FakeBatch, Any], Answer]] = {
    do.CreateLink: FakeBatch._create_link,
    do.SetLink: FakeBatch._set_link,
    do.DeleteLink: FakeBatch._delete_link,
    do.PutAddress: FakeBatch._put_address,
    do.DeleteAddress: FakeBatch._delete_address,
    do.RestoreAddress: FakeBatch._restore_address,
    do.RestorePort: FakeBatch._restore_port,
    do.CreateRoute: FakeBatch._create_route,
    do.DeleteRoute: FakeBatch._delete_route,
    do.RestoreRoute: FakeBatch._restore_route,
    do.CreateRule: FakeBatch._create_rule,
    do.DeleteRule: FakeBatch._delete_rule,
    do.RestoreRule: FakeBatch._restore_rule,
    do.PutNeighbor: FakeBatch._put_neighbor,
    do.RestoreNeighbor: FakeBatch._restore_neighbor,
    do.DeleteNeighbor: FakeBatch._delete_neighbor,
    do.PutFdb: FakeBatch._put_fdb,
    do.DeleteFdb: FakeBatch._delete_fdb,
    do.WriteSysctl: FakeBatch._write_sysctl,
    do.RunNft: FakeBatch._run_nft,
    do.LegacyAccept: FakeBatch._legacy_accept,
}
