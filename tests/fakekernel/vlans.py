"""The VLANs of bridges and their ports."""

from __future__ import annotations

import errno
import sys
from dataclasses import replace

from netd.errors import kernel_error
from netd.model import operations as do
from netd.model.invalidation import Invalidation
from netd.model.state import VLAN_PVID, VLAN_UNTAGGED, PortVlan

from .machine import FakeMachine
from .space import FakeNamespace

#: IFLA_BR_VLAN_DEFAULT_PVID.
DEFAULT_PVID = 39
#: IFLA_VXLAN_VNIFILTER.
VNIFILTER = 30


def begin(machine: FakeMachine, space: FakeNamespace, index: int, bridge: int) -> None:
    """A new bridge, or a new port of one, is in the default VLAN of that."""
    pvid = int.from_bytes(space.info.get(bridge, {}).get(DEFAULT_PVID, b""), sys.byteorder)
    space.vlans[index] = {pvid: PortVlan(VLAN_PVID | VLAN_UNTAGGED)} if pvid else {}
    machine.announce(space, Invalidation("vlans", index=index))


def end(space: FakeNamespace, index: int) -> None:
    """It leaves its bridge, or is gone."""
    space.vlans.pop(index, None)
    if index not in space.links:
        space.vnis.pop(index, None)


def follow_default(machine: FakeMachine, space: FakeNamespace, bridge: int, before: bytes, now: bytes) -> None:
    """__br_vlan_set_default_pvid(): those that are in the former default VLAN as in one, follow."""
    old, new = (int.from_bytes(each, sys.byteorder) for each in (before, now))
    if old == new:
        return
    for index in [bridge, *(link.index for link in space.links.values() if link.master == bridge)]:
        found = space.vlans.get(index)
        if found is None or (old and found.get(old, PortVlan(0)).flags != VLAN_PVID | VLAN_UNTAGGED) or new in found:
            continue
        if not old and any(one.flags & VLAN_PVID for one in found.values()):
            continue
        found.pop(old, None)
        if new:
            found[new] = PortVlan(VLAN_PVID | VLAN_UNTAGGED)
        machine.announce(space, Invalidation("vlans", index=index))


def change(machine: FakeMachine, space: FakeNamespace, index: int, op: do.SetVlans) -> None:
    """RTM_SETLINK and RTM_DELLINK of AF_BRIDGE; KernelError EOPNOTSUPP of what is no port."""
    space.at(index)
    found = space.vlans.get(index)
    if found is None or op.own != (not space.at(index).master):
        raise kernel_error(errno.EOPNOTSUPP, "")
    for vlan in op.dropped:
        found[vlan] = replace(found[vlan], vni=0)
    for first, last, flags in op.add:
        for vlan in range(first, last + 1):
            if flags & VLAN_PVID:
                for other, one in found.items():
                    found[other] = replace(one, flags=one.flags & ~VLAN_PVID)
            found[vlan] = PortVlan(flags, found[vlan].vni if vlan in found else 0)
    for first, last in op.remove:
        for vlan in range(first, last + 1):
            found.pop(vlan, None)
    for vlan, vni in op.tunnels:
        if vlan not in found:
            raise kernel_error(errno.EINVAL, "")
        found[vlan] = replace(found[vlan], vni=vni)
    machine.announce(space, Invalidation("vlans", index=index))


def change_vnis(machine: FakeMachine, space: FakeNamespace, index: int, op: do.SetVnis) -> None:
    """RTM_NEWTUNNEL and RTM_DELTUNNEL; KernelError EOPNOTSUPP of a tunnel without a filter."""
    space.at(index)
    if not any(space.info.get(index, {}).get(VNIFILTER, b"")):
        raise kernel_error(errno.EOPNOTSUPP, "")
    found = space.vnis.setdefault(index, set())
    for first, last in op.add:
        found |= set(range(first, last + 1))
    for first, last in op.remove:
        found -= set(range(first, last + 1))
    machine.announce(space, Invalidation("vnis", index=index))
