"""What links are while they are there: up or down, of which size, members of which master.

Ports of a bridge, members of a bond or of a VRF: net/bridge, drivers/net/bonding, drivers/net/vrf.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping

from netd.errors import kernel_error
from netd.kinds.link import segment
from netd.kinds.link.attributes import encode
from netd.kinds.link.bridge_port import PORT_DEFAULTS, BridgePort
from netd.model.invalidation import Invalidation
from netd.model.state import IFF_UP, Link

from . import addresses, options, vlans
from .machine import FakeMachine
from .space import LOOPBACK, FakeNamespace

#: A port as it joins a bridge; the cost is that of 10 Gbit/s, which a veth has.
BRIDGE_PORT: Mapping[int, bytes] = encode(BridgePort, {**PORT_DEFAULTS, "cost": 2})
#: IFLA_BOND_PRIMARY.
PRIMARY = 11


def outer_of(machine: FakeMachine, space: FakeNamespace, index: int) -> FakeNamespace:
    """The namespace of what carries a link."""
    return machine.spaces.get(space.outer.get(index, space.cookie), space)


def tunnels(machine: FakeMachine, outer: FakeNamespace) -> list[tuple[FakeNamespace, int]]:
    """The links that others in a namespace carry, wherever they are."""
    spaces = machine.spaces.values()
    return [(space, index) for space in spaces for index, cookie in space.outer.items() if cookie == outer.cookie]


def set_mac(machine: FakeMachine, space: FakeNamespace, index: int, mac: str) -> None:
    """A bond gives its own to its members."""
    space.put(space.at(index), mac=mac)
    for member in _members(space, index):
        space.put(member, mac=mac)
        machine.announce(space, Invalidation("link", index=member.index))


def _members(space: FakeNamespace, bond: int) -> list[Link]:
    return [link for link in space.links.values() if link.master == bond and link.index in space.before]


def set_mtu(machine: FakeMachine, space: FakeNamespace, index: int, mtu: int) -> None:
    """Sets an MTU within the limits; a bridge that is given one follows its ports no longer, members follow a bond."""
    link = space.at(index)
    kind, outer = segment.kind_of(link), outer_of(machine, space, index)
    least, most = options.mtu_limits(link.kind, space.info.get(index, {}), space.lower.get(index, 0), outer)
    if not least <= mtu <= most:
        raise kernel_error(errno.EINVAL, "mtu out of range")
    space.put(link, mtu=mtu)
    if kind is not None and kind.joins == "ports":
        space.fixed.add(index)
    if link.master:
        _follow_ports(machine, space, link.master)
    for member in _members(space, index):
        set_mtu(machine, space, member.index, mtu)
        machine.announce(space, Invalidation("link", index=member.index))
    _pull_down(machine, space, index)


def _pull_down(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    """Links on one that got smaller follow, where they are its like: not tunnels, which name it in an option."""
    for above, other in tunnels(machine, space):
        kind = segment.kind_of(above.links.get(other))
        follows = kind is not None and kind.lower is not None and not kind.lower[1].number
        if follows and above.lower[other] == index and above.at(other).mtu > space.at(index).mtu:
            set_mtu(machine, above, other, space.at(index).mtu)
            machine.announce(above, Invalidation("link", index=other))


def _follow_ports(machine: FakeMachine, space: FakeNamespace, bridge: int) -> None:
    """br_mtu_auto_adjust()."""
    if bridge in space.fixed or bridge not in space.links or segment.joins(space.at(bridge)) != "ports":
        return
    mtu = min((link.mtu for link in space.links.values() if link.master == bridge), default=1500)
    if space.at(bridge).mtu != mtu:
        space.put(space.at(bridge), mtu=mtu)
        machine.announce(space, Invalidation("link", index=bridge))


def join(machine: FakeMachine, space: FakeNamespace, index: int, master: int) -> None:
    """A link gets a master; KernelError EOPNOTSUPP where that takes none, EPERM of a bond for a link that is up."""
    link, above = space.at(index), space.at(master)
    kind = segment.kind_of(above)
    if kind is None or not kind.takes_members:
        raise kernel_error(errno.EOPNOTSUPP, "")
    if kind.joins == "ports":
        if segment.joins(link) == "ports":
            raise kernel_error(errno.ELOOP, "Can not enslave a bridge to a bridge")
        below = segment.kind_of(link)
        if below is not None and not below.is_ethernet(options.read(link.kind, space.info.get(index, {}), 0, space)):
            raise kernel_error(errno.EINVAL, "")
        space.put(link, master=master)
        # port_cost(): that of the speed, which a vxlan has from what carries it, and other tunnels have not.
        unlimited = below is not None and options.limits_nothing(below)
        slow = unlimited or (link.kind == "vxlan" and not space.lower[index])
        space.port[index] = {**BRIDGE_PORT, 3: struct.pack("=I", 100)} if slow else dict(BRIDGE_PORT)
        vlans.begin(machine, space, index, master)
        _follow_ports(machine, space, master)
    elif kind.joins == "members":
        if link.up:
            raise kernel_error(errno.EPERM, "Device can not be enslaved while up")
        space.before[index] = (link.mtu, link.mac)
        space.put(link, master=master, mac=above.mac)
        set_mtu(machine, space, index, above.mtu)
        set_up(machine, space, index, True)
    else:
        _cycle(machine, space, index, master)


def leave(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    """A link loses its master, if it has one; that of a bond gets back what it had, and is down."""
    link = space.at(index)
    if not link.master:
        return
    if index in space.before:
        mtu, mac = space.before.pop(index)
        space.put(link, master=0, mac=mac)
        set_mtu(machine, space, index, mtu)
        set_up(machine, space, index, False)
    elif index in space.port:
        space.put(link, master=0)
        del space.port[index]
        vlans.end(space, index)
        _follow_ports(machine, space, link.master)
    else:
        _cycle(machine, space, index, 0)
    for changed in (index, link.master):
        machine.announce(space, Invalidation("link", index=changed))


def _cycle(machine: FakeMachine, space: FakeNamespace, index: int, master: int) -> None:
    """cycle_netdev(): down and up, so that nothing is left in the former table."""
    was_up = space.at(index).up
    set_up(machine, space, index, False)
    space.put(space.at(index), master=master)
    set_up(machine, space, index, was_up)


def without_primary(space: FakeNamespace, link: Link) -> dict[int, bytes]:
    """The options of a link; the primary of a bond is shown only while it is a member."""
    info = space.info.get(link.index, {})
    index = struct.unpack("=I", info.get(PRIMARY, bytes(4)))[0] if segment.joins(link) == "members" else 0
    member = space.links.get(index)
    if segment.joins(link) != "members" or (member is not None and member.master == link.index):
        return info
    return {number: value for number, value in info.items() if number != PRIMARY}


def set_up(machine: FakeMachine, space: FakeNamespace, index: int, up: bool) -> None:
    """Down takes routes, neighbors and IPv6 addresses; up brings back the networks of the addresses."""
    link = space.at(index)
    if link.up == up:
        return
    space.put(link, flags=link.flags | IFF_UP if up else link.flags & ~IFF_UP)
    if up and index == LOOPBACK:
        addresses.equip_loopback(space)
    if up:
        addresses.connect_all(machine, space, index)
    else:
        addresses.link_down(machine, space, index)
    machine.announce(space, Invalidation("link", index=index))
