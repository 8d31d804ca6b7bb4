"""Executes a list of operations in one fake namespace, as ``netd.kernel.batch`` does."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netd.errors import KernelError, kernel_error
from netd.model import operations as do
from netd.model.invalidation import Invalidation
from netd.model.state import Link, Nexthop

from . import addresses, entries, firewall, link_state, links, routes, sysctls, vlans, wireguard
from .session import FakeSession

Answer = KernelError | Link | None
IndexOf = Callable[[str, str], int]


class FakeBatch:
    """One call of ``FakeKernel.execute``.

    Names mean the index that they had before, or that an operation gave them since.
    """

    def __init__(self, session: FakeSession, index_of: IndexOf) -> None:
        self._session = session
        self._machine = session.machine
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

    def _create_link(self, op: do.CreateLink) -> Link | None:
        lower = self._index(op.dev) if op.dev else 0
        master = self._index(op.settings.master, op.home) if op.settings.master else 0
        link = links.create(self._machine, self._space, op, lower, master)
        self._made[op.home, op.name] = link.index
        if op.home != op.netns:
            return None
        shown = links.shown(self._machine, self._space, link)
        if op.peer_name:
            self._made[op.peer_netns, op.peer_name] = shown.link
        return shown

    def _set_link(self, op: do.SetLink) -> None:
        index = self._index(op.name)
        wanted = op.settings.master
        master = None if wanted is None else self._index(wanted, op.settings.netns) if wanted else 0
        try:
            links.change(self._machine, self._space, index, op, master)
        except KernelError as error:
            if error.code != errno.EPERM or not master:
                raise
            # As netd.kernel.batch does it.
            link_state.set_up(self._machine, self._space, index, False)
            link_state.join(self._machine, self._space, index, master)
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
        entries.delete_neighbor(self._machine, self._space, op.index or self._index(op.dev), op.address, op.proxy)

    def _put_fdb(self, op: do.PutFdb) -> None:
        via = self._index(op.via) if op.via else 0
        entries.put_fdb(self._machine, self._space, self._index(op.dev), op, via)

    def _delete_fdb(self, op: do.DeleteFdb) -> None:
        entries.delete_fdb(self._machine, self._space, op.index or self._index(op.dev), op)

    def _set_vlans(self, op: do.SetVlans) -> None:
        vlans.change(self._machine, self._space, self._index(op.dev), op)

    def _set_vnis(self, op: do.SetVnis) -> None:
        vlans.change_vnis(self._machine, self._space, self._index(op.dev), op)

    def _put_qdisc(self, op: do.PutQdisc) -> None:
        entries.put_qdisc(self._machine, self._space, self._index(op.dev), op)

    def _delete_qdisc(self, op: do.DeleteQdisc) -> None:
        entries.delete_qdisc(self._machine, self._space, op.index or self._index(op.dev), op)

    def _write_sysctl(self, op: do.WriteSysctl) -> None:
        sysctls.write(self._machine, self._space, op.path, op.value)

    def _write_file(self, op: do.WriteFile) -> None:
        if op.new and op.path in self._machine.files:
            raise kernel_error(errno.EEXIST, f"writing /etc/netns/{op.path}")
        self._machine.files[op.path] = op.text
        self._machine.announce(self._space, Invalidation("files", path=op.path))

    def _delete_file(self, op: do.DeleteFile) -> None:
        self._machine.files.pop(op.path, None)
        self._machine.announce(self._space, Invalidation("files", path=op.path))

    def _run_nft(self, op: do.RunNft) -> None:
        firewall.run(self._machine, self._space, op.text)

    def _set_wireguard(self, op: do.SetWireguard) -> None:
        wireguard.write(self._machine, self._space, self._index(op.dev), op)

    def _drop_flows(self, op: do.DropFlows) -> None:
        """Nothing is sent here, so there are no connections."""

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
    do.SetVlans: FakeBatch._set_vlans,
    do.SetVnis: FakeBatch._set_vnis,
    do.PutQdisc: FakeBatch._put_qdisc,
    do.DeleteQdisc: FakeBatch._delete_qdisc,
    do.WriteSysctl: FakeBatch._write_sysctl,
    do.WriteFile: FakeBatch._write_file,
    do.DeleteFile: FakeBatch._delete_file,
    do.RunNft: FakeBatch._run_nft,
    do.SetWireguard: FakeBatch._set_wireguard,
    do.DropFlows: FakeBatch._drop_flows,
    do.LegacyAccept: FakeBatch._legacy_accept,
}
