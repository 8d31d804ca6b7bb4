"""The topology as a graph: links are nodes, and their connections are edges. JSON values, as the daemon sends them.

``{"version": 1, "namespaces": [{"name", "state", "reason"}], "nodes": [{"id", "kind", "namespace", "name", "state",
"reason", "up", "addresses", "mtu", "text"}], "edges": [{"from", "to", "kind", "text"}]}``. What is not a link of this
machine (the remote of a tunnel, a network behind NAT) is a node whose namespace is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netd.errors import KernelError
from netd.kinds.base.kind import LOOPBACK
from netd.model.desired import Desired
from netd.model.key import Key, LinkName, namespace_key
from netd.model.state import IFF_RUNNING, Link

from .declaration import FOREIGN, Declaration, difference
from .nat import translations
from .topology import Topology

VERSION = 1
Node = dict[str, Any]
Edge = dict[str, Any]
#: Options that tell tunnels and VLANs apart, as they are shown.
TELLING = ("vni", "id", "table", "mode", "key")


class GraphBuilder:
    """Collects nodes and edges; ``steps`` yields between namespaces, so that a daemon can do it in turns."""

    def __init__(self, topology: Topology, declaration: Declaration) -> None:
        self._topology = topology
        self._declaration = declaration
        self._namespaces: list[dict[str, Any]] = []
        self._nodes: dict[str, Node] = {}
        self._edges: list[Edge] = []
        self._paired: set[LinkName] = set()
        self._tunnels: dict[tuple[str, Any, str], LinkName] = {}

    @property
    def document(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        nodes = list(self._nodes.values())
        return {"version": VERSION, "namespaces": self._namespaces, "nodes": nodes, "edges": self._edges}

    def steps(self) -> Iterator[None]:
        """Builds it, namespace by namespace."""
        for netns in self._topology.namespaces:
            self._namespaces.append({"name": netns, **self._state(namespace_key(netns) if netns else None)})
            for at in self._topology.links(netns):
                self._add_link(at)
            yield
        self._add_missing()
        yield
        for netns in self._topology.namespaces:
            for at in self._topology.links(netns):
                self._connect(at)
            yield
        self._add_tunnels()
        self._add_nat()

    def _state(self, key: Key | None) -> dict[str, str]:
        if key is not None and key not in self._declaration.desired and key not in self._declaration.changes:
            key = None
        state = self._declaration.state(key)
        change = self._declaration.changes.get(key) if key is not None else None
        return {"state": state, "reason": self._declaration.reason(key) or difference(change)}

    def _add_link(self, at: LinkName) -> None:
        link = self._topology.link(at)
        if link is None or (link.name == LOOPBACK and self._is_plain_loopback(at)):
            return
        node: Node = {"id": str(at), "kind": link.kind or "physical", "namespace": at.netns, "name": at.name}
        if link.name == LOOPBACK:
            node["kind"] = "loopback"
        state, reason = self._declaration.link_state(at)
        node |= {"state": state, "reason": reason, "up": link.up, "running": bool(link.flags & IFF_RUNNING)}
        node |= {"addresses": [one.address for one in self._topology.addresses(at)], "mtu": link.mtu}
        self._nodes[str(at)] = node | {"text": self._telling(at, link)}

    def _is_plain_loopback(self, at: LinkName) -> bool:
        addresses = {one.address for one in self._topology.addresses(at)}
        return self._declaration.of_link(at) is None and addresses <= {"127.0.0.1/8", "::1/128"}

    def _telling(self, at: LinkName, link: Link) -> str:
        if not link.info:
            return ""
        options = self._topology.options(at)
        return " ".join(f"{key} {options[key]}" for key in TELLING if options.get(key))

    def _add_missing(self) -> None:
        """What is declared and not there."""
        for at in self._declaration.links():
            key = self._declaration.of_link(at)
            if key is None or str(at) in self._nodes or self._topology.link(at) is not None:
                continue
            if at.netns not in self._topology.namespaces:
                self._add_missing_namespace(at.netns)
            node: Node = {"id": str(at), "kind": key.kind, "namespace": at.netns, "name": at.name, **self._state(key)}
            self._nodes[str(at)] = node | {"up": False, "running": False, "addresses": [], "mtu": None, "text": ""}
            self._connect_missing(at, self._declaration.desired[key])

    def _add_missing_namespace(self, netns: str) -> None:
        if not any(each["name"] == netns for each in self._namespaces):
            self._namespaces.append({"name": netns, **self._state(namespace_key(netns))})

    def _connect_missing(self, at: LinkName, one: Desired) -> None:
        for end in one.ends:
            if end.link == at:
                if end.master is not None:
                    self._edge(at, end.master, "port")
                if end.peer is not None and end.peer not in self._paired:
                    self._paired.add(at)
                    self._edge(at, end.peer, "pair")
                if end.tunnel is not None and end.tunnel.dev:
                    self._edge(at, LinkName(end.tunnel.netns, end.tunnel.dev), "dev")

    def _edge(self, begin: LinkName | str, end: LinkName | str, kind: str, text: str = "") -> None:
        self._edges.append({"from": str(begin), "to": str(end), "kind": kind, "text": text})

    def _connect(self, at: LinkName) -> None:
        topology = self._topology
        master, carrier, peer = topology.master(at), topology.carrier(at), topology.peer(at)
        if master is not None:
            self._edge(at, master, "port")
        if carrier is not None:
            self._edge(at, carrier, "dev")
        if peer is not None and peer not in self._paired:
            self._paired.add(at)
            self._edge(at, peer, "pair")
        self._note_tunnel(at)

    def _note_tunnel(self, at: LinkName) -> None:
        link = self._topology.link(at)
        if link is not None and link.info:
            options = self._topology.options(at)
            if options.get("local"):
                self._tunnels[link.kind, options.get("vni"), options["local"]] = at

    def _add_tunnels(self) -> None:
        """Each tunnel to its remotes: the link at the other end, where that is on this machine too."""
        for netns in self._topology.namespaces:
            for at in self._topology.links(netns):
                link = self._topology.link(at)
                for remote in self._far_ends(at) if link is not None and link.info else ():
                    assert link is not None
                    vni = self._topology.options(at).get("vni")
                    there = self._tunnels.get((link.kind, vni, remote))
                    self._edge(at, there or self._outside(remote, "remote"), "tunnel", remote)

    def _far_ends(self, at: LinkName) -> list[str]:
        try:
            return self._topology.far_ends(at)
        except KernelError:
            return []

    def _outside(self, name: str, kind: str) -> str:
        """The node of an address or a network that is no link of this machine."""
        node = {"id": name, "kind": kind, "namespace": None, "name": name, "state": FOREIGN, "reason": "", "up": True}
        self._nodes.setdefault(name, node | {"running": True, "addresses": [], "mtu": None, "text": ""})
        return name

    def _add_nat(self) -> None:
        for entry in translations(self._topology, self._declaration):
            self._edge(self._end(entry.source), self._end(entry.target), "nat", entry.text)
            place = {"namespace": entry.key.netns, "object": str(entry.key)}
            self._edges[-1] |= place | self._state(entry.key)

    def _end(self, side: LinkName | str | None) -> str:
        if isinstance(side, LinkName) and str(side) in self._nodes:
            return str(side)
        return self._outside("any" if side is None else str(side), "network")


def narrowed(document: Mapping[str, Any], chosen: Iterable[str]) -> dict[str, Any]:
    """These nodes, what they are connected to, and what that is a part of: the bridge of the other end of a pair."""
    kept, found = set(chosen), set(chosen)
    for edge in document["edges"]:
        found |= {edge["from"], edge["to"]} if {edge["from"], edge["to"]} & kept else set()
    upward = [edge for edge in document["edges"] if edge["kind"] in ("port", "dev", "tunnel")]
    new = found
    while new:
        new = {edge["to"] for edge in upward if edge["from"] in new} - found
        found |= new
    nodes = [node for node in document["nodes"] if node["id"] in found]
    edges = [edge for edge in document["edges"] if edge["from"] in found and edge["to"] in found]
    boxes = {node["namespace"] for node in nodes}
    spaces = [each for each in document["namespaces"] if each["name"] in boxes]
    return {**document, "namespaces": spaces, "nodes": nodes, "edges": edges}
