"""Links: operations -> RTM_NEWLINK and RTM_DELLINK requests.

Every message to a link that is there names its index: one with a group and neither index nor name would act on every
link of that group.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

from netd.model import operations as do
from netd.model.state import IFF_UP

from . import wire
from .wire import Request

#: Indexes of links that are created in one namespace and moved to another: far from those that the kernel gives.
PASSING = (1 << 20, 1 << 24)
MAKE = wire.NLM_F_CREATE | wire.NLM_F_EXCL


class LinkLookup(Protocol):
    """What a request needs to know of the namespaces."""

    def index(self, netns: str, name: str) -> int:
        """The index of a link; KernelError ENODEV where it is not there."""

    def descriptor(self, netns: str) -> int | None:
        """An open descriptor of another namespace, None for the one that is spoken to."""


def ifinfomsg(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    """struct ifinfomsg of AF_UNSPEC."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def header(index: int, settings: do.LinkSettings) -> bytes:
    """ifinfomsg with the flag that the settings ask for."""
    if settings.up is None:
        return ifinfomsg(index)
    return ifinfomsg(index, IFF_UP if settings.up else 0, IFF_UP)


def plain_settings(netns: str, settings: do.LinkSettings, lookup: LinkLookup) -> bytes:
    """The attributes of one end, without those inside IFLA_LINKINFO."""
    body = b""
    if settings.mtu is not None:
        body += wire.u32(wire.IFLA_MTU, settings.mtu)
    if settings.mac is not None:
        body += wire.attribute(wire.IFLA_ADDRESS, wire.mac_bytes(settings.mac))
    if settings.master is not None:
        body += wire.u32(wire.IFLA_MASTER, lookup.index(netns, settings.master) if settings.master else 0)
    if settings.group is not None:
        body += wire.u32(wire.IFLA_GROUP, settings.group)
    return body


def port_info(port: Mapping[int, bytes]) -> bytes:
    """Settings of a bridge's port; the kernel takes them only where the master is set already."""
    slave = wire.text(wire.IFLA_INFO_SLAVE_KIND, "bridge") + wire.nested(wire.IFLA_INFO_SLAVE_DATA, wire.mapping(port))
    return wire.nested(wire.IFLA_LINKINFO, slave)


def create_link(operation: do.CreateLink, lookup: LinkLookup) -> list[Request]:
    """One message makes the link, with both ends of a pair; what the kernel drops at creation follows by name."""
    settings = operation.settings
    index = random.randrange(*PASSING) if operation.moved else 0
    name = f"netd{index:x}" if operation.moved else operation.name
    body = header(index, settings) + wire.text(wire.IFLA_IFNAME, name)
    body += plain_settings(operation.home, settings, lookup)
    elsewhere = lookup.descriptor(operation.home) if operation.home != operation.netns else None
    if elsewhere is not None and not operation.moved:
        body += wire.u32(wire.IFLA_NET_NS_FD, elsewhere)
        if settings.alias or settings.port:
            raise ValueError("alias and port settings follow by name, which is of another namespace")
    info = dict(settings.info)
    data = b""
    if operation.dev:
        lower = lookup.index(operation.netns, operation.dev)
        if operation.dev_option:
            info.setdefault(operation.dev_option, struct.pack("=I", lower))
        else:
            body += wire.u32(wire.IFLA_LINK, lower)
    if operation.peer_name:
        body += queues()
        data = wire.nested(wire.VETH_INFO_PEER, peer_end(operation, lookup))
    data += wire.mapping(info)
    kind = wire.text(wire.IFLA_INFO_KIND, operation.kind)
    body += wire.nested(wire.IFLA_LINKINFO, kind + (wire.nested(wire.IFLA_INFO_DATA, data) if data else b""))
    requests = [Request(wire.RTM_NEWLINK, MAKE | wire.NLM_F_ECHO, body)]
    if elsewhere is not None and operation.moved:
        move = ifinfomsg(index) + wire.u32(wire.IFLA_NET_NS_FD, elsewhere) + wire.text(wire.IFLA_IFNAME, operation.name)
        # What could not be moved does not stay; what was moved is not there any more.
        return [*requests, Request(wire.RTM_NEWLINK, 0, move), delete_link(index)]
    # By name: the index is not known yet. Never with a group, which would then mean every link of it.
    named = ifinfomsg() + wire.text(wire.IFLA_IFNAME, operation.name)
    if settings.alias:
        requests.append(Request(wire.RTM_NEWLINK, 0, named + wire.text(wire.IFLA_IFALIAS, settings.alias)))
    if settings.port:
        requests.append(Request(wire.RTM_NEWLINK, 0, named + port_info(settings.port)))
    return requests


def peer_end(operation: do.CreateLink, lookup: LinkLookup) -> bytes:
    """The other end: never up (ENOTCONN), never with a master (its index is of another namespace)."""
    peer = operation.peer or do.LinkSettings()
    body = ifinfomsg() + wire.text(wire.IFLA_IFNAME, operation.peer_name)
    descriptor = lookup.descriptor(operation.peer_netns)
    if descriptor is not None:
        body += wire.u32(wire.IFLA_NET_NS_FD, descriptor)
    if peer.group is not None:
        body += wire.u32(wire.IFLA_GROUP, peer.group)
    if peer.mac is not None:
        body += wire.attribute(wire.IFLA_ADDRESS, wire.mac_bytes(peer.mac))
    if peer.mtu is not None:
        body += wire.u32(wire.IFLA_MTU, peer.mtu)
    return body + queues()


def queues() -> bytes:
    """One queue each way: a pair is made in two thirds of the time."""
    return wire.u32(wire.IFLA_NUM_TX_QUEUES, 1) + wire.u32(wire.IFLA_NUM_RX_QUEUES, 1)


def set_link(operation: do.SetLink, lookup: LinkLookup) -> list[Request]:
    """Changes a link by its index; port settings after a master. One that moves is there what it is to be, at once."""
    settings = operation.settings
    index = lookup.index(operation.netns, operation.name)
    body = plain_settings(operation.netns if settings.netns is None else settings.netns, settings, lookup)
    descriptor = None if settings.netns is None else lookup.descriptor(settings.netns)
    if descriptor is not None:
        # do_setlink() moves it first, and does the rest there (net/core/rtnetlink.c).
        body += wire.u32(wire.IFLA_NET_NS_FD, descriptor)
    if settings.alias is not None:
        body += wire.attribute(wire.IFLA_IFALIAS, settings.alias.encode() + b"\0" if settings.alias else b"")
    if settings.name is not None:
        body += wire.text(wire.IFLA_IFNAME, settings.name)
    info = dict(settings.info)
    if operation.dev is not None:
        info[operation.dev_option] = struct.pack("=I", lookup.index(*operation.dev))
    if info:
        data = wire.nested(wire.IFLA_INFO_DATA, wire.mapping(info))
        body += wire.nested(wire.IFLA_LINKINFO, wire.text(wire.IFLA_INFO_KIND, operation.kind) + data)
    requests = []
    if body or settings.up is not None:
        requests.append(Request(wire.RTM_NEWLINK, 0, header(index, settings) + body))
    if settings.port:
        requests.append(Request(wire.RTM_NEWLINK, 0, ifinfomsg(index) + port_info(settings.port)))
    return requests


def enter_down(index: int, master: int) -> list[Request]:
    """A link enters a master that takes none that are up (bond_enslave(), which sets it up again)."""
    down = Request(wire.RTM_NEWLINK, 0, ifinfomsg(index, 0, IFF_UP))
    return [down, Request(wire.RTM_NEWLINK, 0, ifinfomsg(index) + wire.u32(wire.IFLA_MASTER, master))]


def set_up(index: int) -> Request:
    """Sets one up again."""
    return Request(wire.RTM_NEWLINK, 0, ifinfomsg(index, IFF_UP, IFF_UP))


def delete_link(index: int) -> Request:
    """One link."""
    return Request(wire.RTM_DELLINK, 0, ifinfomsg(index))


def delete_links(indexes: Sequence[int], group: int) -> list[Request]:
    """Several at once, through a group that nothing else is in: one RCU wait for all of them.

    Two parts: each is moved, the group is deleted.
    """
    gone = Request(wire.RTM_DELLINK, 0, ifinfomsg() + wire.u32(wire.IFLA_GROUP, group))
    return [*set_groups(dict.fromkeys(indexes, group)), gone]


def set_groups(groups: Mapping[int, int]) -> list[Request]:
    """{index: group}."""
    return [
        Request(wire.RTM_NEWLINK, 0, ifinfomsg(index) + wire.u32(wire.IFLA_GROUP, group))
        for index, group in groups.items()
    ]
