"""Links: which can be created, what cannot change, and what is deleted with them (rtnetlink.c, drivers/net/vxlan)."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import replace
from typing import Any

from netd.errors import kernel_error
from netd.kernel.rtnl import wire
from netd.kinds.base.options import fields_of
from netd.kinds.link import segment
from netd.kinds.link.attributes import unpack
from netd.kinds.link.link_kind import LinkKind
from netd.kinds.link.tunnel import TunnelKind
from netd.model import operations as do
from netd.model.invalidation import Invalidation
from netd.model.key import HOST
from netd.model.segment import ETHERNET
from netd.model.state import FdbEntry, Link

from . import link_state, options, routes, sysctls, vlans
from .machine import FakeMachine
from .space import LOOPBACK, FakeNamespace

#: IFLA_VXLAN_*: what its own rules are about.
VNI, GROUP, PORT, GROUP6 = 1, 2, 15, 16
NO_MAC = "00:00:00:00:00:00"


def create(machine: FakeMachine, outer: FakeNamespace, op: do.CreateLink, lower: int, master: int) -> Link:
    """RTM_NEWLINK with NLM_F_EXCL, sent in ``outer``. ``lower`` and ``master`` are indexes, 0 for none."""
    kind = options.kind_of(op.kind)
    space = outer if op.home == op.netns else machine.space(op.home)
    if space.named(op.name):
        raise kernel_error(errno.EEXIST, "")
    pair = kind.joins == "other end"
    peer_space = machine.space(op.peer_netns) if pair else space
    if pair and (peer_space.named(op.peer_name) or (peer_space is space and op.peer_name == op.name)):
        raise kernel_error(errno.EEXIST, "")
    info = _info_at_birth(machine, outer, kind, op, lower)
    most = options.most_mtu(op.kind, info, lower, outer)
    if (op.settings.mtu or 0) > most and op.kind != "vxlan":
        raise kernel_error(errno.EINVAL, "")
    first = min(op.settings.mtu or options.first_mtu(op.kind, info, lower, outer), most)
    link = _add(machine, space, op.name, op.kind, op.settings, first)
    space.info[link.index] = info
    if kind.lower is not None or not kind.tells_namespace:
        space.lower[link.index], space.outer[link.index] = lower, outer.cookie
    if op.kind == "vxlan":
        _default_entry(space, link.index)
    if kind.joins == "ports":
        vlans.begin(machine, space, link.index, link.index)
    if pair:
        there = op.peer or do.LinkSettings()
        peer = _add(machine, peer_space, op.peer_name, op.kind, there, there.mtu or ETHERNET)
        one, other = (space.cookie, link.index), (peer_space.cookie, peer.index)
        machine.cables.update({one: other, other: one})
    if master:
        link_state.join(machine, space, link.index, master)
    if op.settings.up:
        link_state.set_up(machine, space, link.index, True)
    return space.at(link.index)


def _info_at_birth(
    machine: FakeMachine, outer: FakeNamespace, kind: LinkKind, op: do.CreateLink, lower: int
) -> dict[int, bytes]:
    """The options of a new link: as they are said, else the kernel's defaults."""
    info = options.applied(kind, options.at_birth(kind), op.settings.info)
    if lower:
        outer.at(lower)
        if op.dev_option:
            info[op.dev_option] = struct.pack("=I", lower)
    if kind.lower is not None and fields_of(kind.table)[kind.lower[0]].required and not lower:
        raise kernel_error(errno.EINVAL, "")
    tunnels = link_state.tunnels(machine, outer) if op.kind == "vxlan" else ()
    for other in [space.info[index] for space, index in tunnels]:
        # vxlan_vni_in_use(): the same number on the same port.
        if VNI in other and PORT in other and (other[VNI], other[PORT]) == (info[VNI], info[PORT]):
            raise kernel_error(errno.EEXIST, "A VXLAN device with the specified VNI already exists")
    if isinstance(kind, TunnelKind):
        wanted = kind.parameters(options.read(op.kind, info, lower, outer), "")
        for space, index in link_state.tunnels(machine, outer):
            there, below = space.at(index), space.lower[index]
            if there.kind in kind.rtnl_kinds:
                found = kind.parameters(options.read(there.kind, space.info[index], below, outer), "")
                if found == wanted:
                    raise kernel_error(errno.EEXIST, "")
    return options.without_zeros(kind, info)


def _add(machine: FakeMachine, space: FakeNamespace, name: str, kind: str, settings: do.LinkSettings, mtu: int) -> Link:
    index = next(space.indexes)
    while index in space.links:
        index = next(space.indexes)
    link = Link(
        index, name, kind, mtu=mtu, mac=settings.mac or machine.mac(), group=settings.group or 0,
        alias=settings.alias or "",
    )  # fmt: skip
    space.links[index] = link
    sysctls.add_link(space, name)
    machine.announce(space, Invalidation("link", index=index))
    return link


def _default_entry(space: FakeNamespace, index: int) -> None:
    """The remote that is an option of the tunnel is an entry of its table."""
    info = space.info[index]
    flood = info.get(GROUP) or info.get(GROUP6)
    via = space.lower.get(index, 0)
    old = [entry for entry in space.fdb.get(index, []) if entry.flags & 0x100]
    left = [entry for entry in space.fdb.get(index, []) if entry not in old]
    if flood:
        family = socket.AF_INET if len(flood) == 4 else socket.AF_INET6
        dst = socket.inet_ntop(family, flood)
        same = (NO_MAC, dst, 0, 0, via)
        left = [entry for entry in left if (entry.mac, entry.dst, entry.port, entry.vni, entry.via) != same]
        # 0x100 marks it; the kernel has no such flag.
        left.append(FdbEntry(index, NO_MAC, dst, state=0x80, flags=0x02 | 0x100, via=via))
    space.fdb[index] = left


def change(machine: FakeMachine, space: FakeNamespace, index: int, op: do.SetLink, master: int | None) -> None:
    """RTM_NEWLINK of an existing link. ``master`` None: it stays, 0: none."""
    settings = op.settings
    if settings.netns is not None:
        # It moves first, and the rest is done there.
        space, index = move(machine, space, index, settings.netns)
    link = space.at(index)
    if settings.name is not None and settings.name != link.name:
        if space.named(settings.name):
            raise kernel_error(errno.EEXIST, "")
        sysctls.rename_link(space, link.name, settings.name)
        space.put(link, name=settings.name)
    if settings.info or op.dev is not None:
        _change_info(machine, space, index, op)
    if settings.mtu is not None:
        link_state.set_mtu(machine, space, index, settings.mtu)
    if settings.mac is not None:
        link_state.set_mac(machine, space, index, settings.mac)
    if settings.group is not None:
        space.put(space.at(index), group=settings.group)
    if settings.alias is not None:
        space.put(space.at(index), alias=settings.alias)
    if master is not None and master != space.at(index).master:
        link_state.leave(machine, space, index)
        if master:
            link_state.join(machine, space, index, master)
    if settings.up is not None:
        link_state.set_up(machine, space, index, settings.up)
    if settings.port:
        if not space.at(index).master:
            raise kernel_error(errno.EOPNOTSUPP, "")
        space.port[index] = {**space.port[index], **settings.port}
    machine.announce(space, Invalidation("link", index=index))


def _change_info(machine: FakeMachine, space: FakeNamespace, index: int, op: do.SetLink) -> None:
    name, old, outer = space.at(index).kind, space.info.get(index, {}), link_state.outer_of(machine, space, index)
    kind, info = options.kind_of(name), dict(op.settings.info)
    found = outer.named(op.dev.name) if op.dev is not None else None
    if found is not None:
        info[op.dev_option] = struct.pack("=I", found.index)
    if isinstance(kind, TunnelKind) and kind.lower is not None:
        # As the other options: what is not said is not there any more.
        space.lower[index] = unpack(info.get(kind.lower[1].number), "=I") or 0
    fresh, lower = options.changed(name, old, info, space.lower.get(index, 0), outer), space.lower.get(index, 0)
    if name in ("gre", "gretap") and op.settings.mtu is None:
        # ipgre_link_update(): the MTU follows the size of the headers.
        more = options.overhead(name, fresh, lower, outer) - options.overhead(name, old, lower, outer)
        space.put(space.at(index), mtu=space.at(index).mtu - more)
    space.info[index] = fresh
    if kind.joins == "ports":
        vlans.follow_default(
            machine, space, index, old.get(vlans.DEFAULT_PVID, b""), fresh.get(vlans.DEFAULT_PVID, b"")
        )
    if name == "vxlan":
        _default_entry(space, index)
        machine.announce(space, Invalidation("fdb", index=index))


def remove(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    """RTM_DELLINK: also deletes its other end, the tunnels that it carries, and its addresses; frees its ports."""
    link = space.at(index)
    if index == LOOPBACK:
        raise kernel_error(errno.EOPNOTSUPP, "")
    other = machine.cables.pop((space.cookie, index), None)
    if other is not None:
        machine.cables.pop(other, None)
    _strip(machine, space, index)
    for port in [port for port in space.links.values() if port.master == index]:
        link_state.leave(machine, space, port.index)
    sysctls.drop_link(space, link.name)
    del space.links[index]
    space.fixed.discard(index)
    vlans.end(space, index)
    space.info.pop(index, None)
    space.wireguard.pop(index, None)
    space.outer.pop(index, None)
    space.lower.pop(index, None)
    _announce_removal(machine, space, index)
    for above, tunnel in link_state.tunnels(machine, space):
        stays = isinstance(segment.kind_of(above.links.get(tunnel)), TunnelKind)
        if above.lower.get(tunnel) == index and tunnel in above.links and not stays:
            remove(machine, above, tunnel)
    if other is not None and other[0] in machine.spaces and other[1] in machine.spaces[other[0]].links:
        remove(machine, machine.spaces[other[0]], other[1])


def end_tunnels(machine: FakeMachine, outer: FakeNamespace) -> None:
    """A namespace ends: so do the tunnels that send their packets there (vxlan_exit_batch_rtnl).

    A wireguard stays, without a socket.
    """
    for space, index in link_state.tunnels(machine, outer):
        if index in space.links and space.at(index).kind != "wireguard":
            remove(machine, space, index)


def _strip(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    """Removes what does not survive a deletion or a move."""
    link_state.leave(machine, space, index)
    link_state.set_up(machine, space, index, False)
    space.addresses.pop(index, None)
    routes.drop_of_link(machine, space, index)
    for table in (space.neighbors, space.proxies):
        for key in [key for key in table if key[0] == index]:
            del table[key]
    space.fdb.pop(index, None)
    space.qdiscs.pop(index, None)


def _announce_removal(machine: FakeMachine, space: FakeNamespace, index: int) -> None:
    for what in ("link", "addresses"):
        machine.announce(space, Invalidation(what, index=index))
    machine.announce(space, Invalidation("routes"))


def move(machine: FakeMachine, space: FakeNamespace, index: int, netns: str) -> tuple[FakeNamespace, int]:
    """Moves it to another namespace: without addresses, down, and with a new index where its own is in use."""
    target = machine.space(netns if netns else HOST)
    link = space.at(index)
    if target is space:
        return space, index
    if segment.joins(link) == "ports" or index == LOOPBACK:
        raise kernel_error(errno.EINVAL, "The interface netns is immutable")
    if target.named(link.name):
        raise kernel_error(errno.EEXIST, "")
    _strip(machine, space, index)
    link = space.links.pop(index)
    info, outer = space.info.pop(index, None), space.outer.pop(index, None)
    sysctls.drop_link(space, link.name)
    _announce_removal(machine, space, index)
    fresh = index if index not in target.links else next(target.indexes)
    while fresh in target.links and fresh != index:
        fresh = next(target.indexes)
    target.links[fresh] = Link(fresh, link.name, link.kind, 0, link.mtu, link.mac, 0, link.group, alias=link.alias)
    if info is not None:
        target.info[fresh] = info
    if outer is not None:
        target.outer[fresh], target.lower[fresh] = outer, space.lower.pop(index)
    sysctls.add_link(target, link.name)
    other = machine.cables.pop((space.cookie, index), None)
    if other is not None:
        machine.cables[target.cookie, fresh] = other
        machine.cables[other] = (target.cookie, fresh)
    machine.announce(target, Invalidation("link", index=fresh))
    return target, fresh


def shown(machine: FakeMachine, space: FakeNamespace, link: Link) -> Link:
    """The link as it is read: with its options, its other end, and the number of that one's namespace."""
    other = machine.cables.get((space.cookie, link.index))
    info = wire.mapping(link_state.without_primary(space, link))
    port = wire.mapping(space.port.get(link.index, {}))
    changes: dict[str, Any] = {"info": info, "port": port}
    if other is not None:
        foreign = other[0] != space.cookie
        changes |= {"link": other[1], "link_netnsid": machine.number(space.cookie, other[0]) if foreign else None}
    kind, outer = segment.kind_of(link), space.outer.get(link.index, space.cookie)
    if isinstance(kind, TunnelKind) or (kind is not None and kind.lower is not None and not kind.lower[1].number):
        changes["link"] = space.lower.get(link.index, 0)
    shown = replace(link, **changes)
    return options.elsewhere(shown, kind, machine.number(space.cookie, outer)) if outer != space.cookie else shown
