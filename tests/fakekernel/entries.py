"""Policy rules, static neighbors, and the table of a tunnel."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace

from netd.errors import kernel_error
from netd.kernel.rtnl import decode
from netd.kernel.rtnl.encode import neighbor_body, rule_body
from netd.kernel.rtnl.wire import NUD_NOARP, RTPROT_KERNEL
from netd.model import operations as do
from netd.model.invalidation import Invalidation
from netd.model.marks import PROTOCOL
from netd.model.state import NTF_SELF, NUD_PERMANENT, FdbEntry, Neighbor, PolicyRule, Qdisc

from .machine import FakeMachine
from .space import FakeNamespace

NO_MAC = "00:00:00:00:00:00"


def equip(space: FakeNamespace) -> None:
    """The rules of a new namespace: local, main, and for IPv4 default."""
    for family, priority, table in (
        (socket.AF_INET, 0, 255), (socket.AF_INET, 32766, 254), (socket.AF_INET, 32767, 253),
        (socket.AF_INET6, 0, 255), (socket.AF_INET6, 32766, 254),
    ):  # fmt: skip
        _insert(space, PolicyRule(family, priority, table, protocol=RTPROT_KERNEL))


def _insert(space: FakeNamespace, rule: PolicyRule) -> None:
    space.rules.append(replace(rule, raw=rule_body(rule, rule.protocol)))


def create_rule(machine: FakeMachine, space: FakeNamespace, rule: PolicyRule, protocol: int = PROTOCOL) -> None:
    """RTM_NEWRULE with NLM_F_EXCL: the protocol does not count."""
    rule = replace(rule, protocol=protocol, fwmask=rule.fwmask or (0xFFFFFFFF if rule.fwmark else 0))
    if any(replace(other, protocol=protocol) == rule for other in space.rules):
        raise kernel_error(errno.EEXIST, "")
    _insert(space, rule)
    machine.announce(space, Invalidation("rules"))


def delete_rule(machine: FakeMachine, space: FakeNamespace, rule: PolicyRule) -> None:
    """RTM_DELRULE; KernelError ENOENT."""
    if rule not in space.rules:
        raise kernel_error(errno.ENOENT, "")
    space.rules.remove(rule)
    machine.announce(space, Invalidation("rules"))


def restore_rule(machine: FakeMachine, space: FakeNamespace, raw: bytes) -> None:
    """A message as it was read."""
    rule = decode.rule(raw)
    if rule is None:
        raise kernel_error(errno.EINVAL, "")
    create_rule(machine, space, rule, rule.protocol)


def put_neighbor(machine: FakeMachine, space: FakeNamespace, index: int, op: do.PutNeighbor) -> None:
    """RTM_NEWNEIGH with NLM_F_REPLACE."""
    space.at(index)
    if op.proxy:
        # Nothing is announced, as by the kernel.
        found = decode.neighbor(neighbor_body(op, index))
        assert found is not None
        space.proxies[index, op.address] = found
        return
    _keep(machine, space, Neighbor(index, op.address, op.mac, NUD_PERMANENT, op.protocol))


def _keep(machine: FakeMachine, space: FakeNamespace, one: Neighbor) -> None:
    raw = neighbor_body(do.PutNeighbor("", "", one.address, one.mac, one.protocol), one.index)
    space.neighbors[one.index, one.address] = replace(one, raw=raw)
    machine.announce(space, Invalidation("neighbors", index=one.index))


def restore_neighbor(machine: FakeMachine, space: FakeNamespace, index: int, raw: bytes) -> None:
    """As it was read once; KernelError EEXIST."""
    space.at(index)
    one = decode.neighbor(raw)
    if one is None:
        raise kernel_error(errno.EINVAL, "")
    if (index, one.address) in space.neighbors:
        raise kernel_error(errno.EEXIST, "")
    _keep(machine, space, replace(one, index=index))


def delete_neighbor(machine: FakeMachine, space: FakeNamespace, index: int, address: str, proxy: bool = False) -> None:
    """RTM_DELNEIGH; KernelError ENOENT."""
    space.at(index)
    if proxy:
        if space.proxies.pop((index, address), None) is None:
            raise kernel_error(errno.ENOENT, "")
        return
    if space.neighbors.pop((index, address), None) is None:
        raise kernel_error(errno.ENOENT, "")
    machine.announce(space, Invalidation("neighbors", index=index))


def put_fdb(machine: FakeMachine, space: FakeNamespace, index: int, op: do.PutFdb, via: int) -> None:
    """Adds an entry of the all-zero MAC or a group; replaces the entry of any other MAC."""
    if space.at(index).kind != "vxlan":
        raise kernel_error(errno.EOPNOTSUPP, "")
    entry = FdbEntry(index, op.mac, op.dst, op.port, op.vni, NUD_PERMANENT | NUD_NOARP, NTF_SELF, via)
    found = space.fdb.setdefault(index, [])
    if via and via not in space.links:
        # vxlan_fdb_parse() looks for it in the tunnel's own namespace, wherever the tunnel's packets are sent.
        raise kernel_error(errno.EADDRNOTAVAIL, "")
    several = op.mac == NO_MAC or int(op.mac[:2], 16) & 1
    if not several:
        found[:] = [other for other in found if other.mac != op.mac]
    elif any(_identity(other) == _identity(entry) for other in found):
        return
    found.append(entry)
    machine.announce(space, Invalidation("fdb", index=index))


def delete_fdb(machine: FakeMachine, space: FakeNamespace, index: int, op: do.DeleteFdb) -> None:
    """One remote of one MAC; KernelError ENOENT."""
    space.at(index)
    found = space.fdb.get(index, [])
    wanted = (op.mac, op.dst, op.port, op.vni, op.via)
    entry = next((other for other in found if _identity(other) == wanted), None)
    if entry is None and any(other.mac == op.mac for other in found):
        # vxlan_fdb_delete() succeeds, and does nothing, where only the remote differs.
        return
    if entry is None:
        raise kernel_error(errno.ENOENT, "")
    found.remove(entry)
    machine.announce(space, Invalidation("fdb", index=index))


def _identity(entry: FdbEntry) -> tuple[str, str, int, int, int]:
    return (entry.mac, entry.dst, entry.port, entry.vni, entry.via)


def shown(entry: FdbEntry) -> FdbEntry:
    """As it is read: without the mark of the entry that is an option of the tunnel."""
    return replace(entry, flags=entry.flags & 0xFF)


def put_qdisc(machine: FakeMachine, space: FakeNamespace, index: int, op: do.PutQdisc) -> None:
    """RTM_NEWQDISC with NLM_F_REPLACE: one of that handle is changed, and keeps its kind."""
    space.at(index)
    found = space.qdiscs.get(index)
    if found is not None and found.handle == op.handle and found.kind != op.kind:
        raise kernel_error(errno.EINVAL, "")
    space.qdiscs[index] = Qdisc(index, op.kind, op.handle, op.options)
    machine.announce(space, Invalidation("qdisc", index=index))


def delete_qdisc(machine: FakeMachine, space: FakeNamespace, index: int, op: do.DeleteQdisc) -> None:
    """RTM_DELQDISC; KernelError ENOENT, or EINVAL where it has another handle."""
    space.at(index)
    found = space.qdiscs.get(index)
    if found is None:
        raise kernel_error(errno.ENOENT, "")
    if found.handle != op.handle:
        raise kernel_error(errno.EINVAL, "")
    del space.qdiscs[index]
    machine.announce(space, Invalidation("qdisc", index=index))
