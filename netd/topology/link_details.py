"""What is known of one link: identity, addresses, MTU and its origin, neighbors in the topology, tables, counters."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from netd.kernel.rtnl.details import Forwarding
from netd.kinds.base.kind import MtuLimit
from netd.kinds.link.segment import kind_of
from netd.model.key import Key, LinkName
from netd.model.marks import GROUP
from netd.model.segment import AUTO, ETHERNET
from netd.model.state import (
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    IFA_F_PERMANENT,
    IFA_F_SECONDARY,
    IFA_F_TENTATIVE,
    IFF_RUNNING,
    NTF_EXT_LEARNED,
    NTF_SELF,
    Address,
    Link,
    Neighbor,
    Route,
)

from .declaration import Declaration
from .topology import Topology

FLAGS = {
    IFA_F_SECONDARY: "secondary", IFA_F_NODAD: "nodad", IFA_F_DADFAILED: "dadfailed", IFA_F_DEPRECATED: "deprecated",
    IFA_F_TENTATIVE: "tentative", IFA_F_NOPREFIXROUTE: "noprefixroute",
}  # fmt: skip
#: NUD_*, include/uapi/linux/neighbour.h.
NEIGHBOR_STATES = {
    1: "incomplete", 2: "reachable", 4: "stale", 8: "delay", 16: "probe", 32: "failed", 64: "noarp", 128: "permanent",
}  # fmt: skip
#: Entries that are shown of a table, at most; the number of all is said.
MOST = 200


class LinkReader(Protocol):
    """Reads of one link that the view does not have; [] or {} where it is gone."""

    def counters(self, netns: str, index: int) -> Mapping[str, int]: ...

    def neighbors(self, netns: str, index: int) -> Sequence[Neighbor]: ...

    def forwarding(self, netns: str, index: int, *, bridge: bool) -> Sequence[Forwarding]: ...

    def routes_through(self, netns: str, index: int) -> Sequence[Route]: ...


class LinkDetails:
    """All of it as JSON values."""

    def __init__(self, topology: Topology, declaration: Declaration, reader: LinkReader, at: LinkName) -> None:
        self._topology = topology
        self._declaration = declaration
        self._reader = reader
        self._at = at

    def json(self) -> dict[str, Any]:
        """What applies to the link; nothing of a link that is not there."""
        link, topology, at = self._topology.link(self._at), self._topology, self._at
        if link is None:
            return {"present": False}
        names = {"peer": topology.peer(at), "master": topology.master(at), "carrier": topology.carrier(at)}
        return {
            "present": True,
            "up": link.up,
            "running": bool(link.flags & IFF_RUNNING),
            "identity": self._identity(link),
            "mtu": {"value": link.mtu, "from": self._mtu_origin(link)},
            "addresses": [self._address(one) for one in topology.addresses(at)],
            **{name: str(other) if other is not None else None for name, other in names.items()},
            "ports": [str(each) for each in topology.ports(at)],
            "carried": [str(each) for each in topology.carried(at)],
            "remotes": topology.far_ends(at),
            "outer_namespace": topology.outer(at) if link.info else at.netns,
            **self._tables(link),
            "counters": dict(self._reader.counters(at.netns, link.index)),
        }

    def _identity(self, link: Link) -> dict[str, Any]:
        return {
            "index": link.index, "type": link.kind or "physical", "mac": link.mac, "alias": link.alias,
            "altnames": list(link.altnames), "namespace_cookie": self._topology.view.cookie(self._at.netns),
            "made_by_netd": link.group == GROUP,
        }  # fmt: skip

    def _mtu_origin(self, link: Link) -> str:
        """Where the MTU comes from, in words."""
        key = self._declaration.of_link(self._at)
        one = self._declaration.desired.get(key) if key is not None else None
        end = next((each for each in one.ends if each.link == self._at), None) if one is not None else None
        if end is not None and end.mtu == AUTO:
            return 'declared as "auto": what fits through its whole layer-2 segment'
        if end is not None and end.mtu is not None:
            return "declared" if end.mtu == link.mtu else f"not as declared ({end.mtu})"
        kind = kind_of(link)
        if kind is None:
            return "its driver, or whoever set it"
        if kind.joins == "ports" and self._topology.ports(self._at):
            ports = [port for each in self._topology.ports(self._at) if (port := self._topology.link(each)) is not None]
            least = min(ports, key=lambda port: port.mtu)
            return f"its port {least.name}, which has the least" if least.mtu == link.mtu else "whoever set it"
        usual = kind.reverted(Key(self._at.netns, kind.name, self._at.name), {}, "mtu", None, self._topology.view)
        if isinstance(usual, MtuLimit):
            carrier = self._topology.link(usual.link)
            if carrier is not None and carrier.mtu - usual.headers == link.mtu:
                return f"{usual.link} ({carrier.mtu}), less {usual.headers} bytes of headers"
        return "a new link's default" if link.mtu in (usual, ETHERNET) else "whoever set it"

    def _address(self, one: Address) -> dict[str, Any]:
        name = f"{self._at.name}/{one.address}"
        part = next((key for key in self._declaration.parts(self._at) if key.name == name), None)
        flags = [word for bit, word in FLAGS.items() if one.flags & bit]
        return {
            "address": one.address, "peer": one.peer, "flags": flags, "permanent": bool(one.flags & IFA_F_PERMANENT),
            "object": str(part) if part else None, "state": self._declaration.state(part),
        }  # fmt: skip

    def _tables(self, link: Link) -> dict[str, Any]:
        netns, kind = self._at.netns, kind_of(link)
        bridge = kind is not None and kind.joins == "ports"
        entries = self._reader.forwarding(netns, link.index, bridge=bridge)
        known = self._reader.neighbors(netns, link.index)
        routes = self._reader.routes_through(netns, link.index)
        return {
            "fdb": [self._entry(one) for one in entries[:MOST]],
            "fdb_entries": len(entries),
            "neighbors": [neighbor_json(one) for one in known[:MOST]],
            "neighbor_entries": len(known),
            "routes": [route_json(one) for one in routes[:MOST]],
        }

    def _entry(self, one: Forwarding) -> dict[str, Any]:
        port = self._topology.at(self._at.netns, one.index)
        state = "permanent" if one.state & 0x80 else "static" if one.state & 0x40 else "learned"
        origin = "control plane" if one.flags & NTF_EXT_LEARNED else state
        found = {"mac": one.mac, "port": port.name if port else None, "dst": one.dst, "vlan": one.vlan, "state": origin}
        return found | {"self": bool(one.flags & NTF_SELF)}


def neighbor_json(one: Neighbor) -> dict[str, Any]:
    """An entry of the neighbor table."""
    return {"address": one.address, "mac": one.mac, "state": NEIGHBOR_STATES.get(one.state, str(one.state))}


def route_json(one: Route) -> dict[str, Any]:
    """A route that leads through the link."""
    via = [hop.via for hop in one.nexthops if hop.via]
    family = "ipv6" if one.family == socket.AF_INET6 else "ipv4"
    return {"to": one.to, "via": via, "table": one.table, "metric": one.metric, "family": family, "type": one.type}
