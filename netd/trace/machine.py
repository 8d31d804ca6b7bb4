"""What a trace asks the kernel: routes, neighbors, forwarding tables, VLANs and rules, each in its namespace.

Answers are kept for the length of one trace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from netd.engine.observe.mirror import Mirror
from netd.errors import KernelError
from netd.kernel.nft import listing
from netd.kernel.rtnl import lookup
from netd.kernel.rtnl.lookup import Flow, Found, Port, PortVlan
from netd.model.key import Key, LinkName
from netd.model.state import FLOOD as FLOOD_MAC
from netd.model.state import Link, Neighbor, attributes
from netd.topology.declaration import Declaration
from netd.topology.topology import Topology

from .filters import nft, saved
from .filters.model import Table
from .steps import Step, StepKind

#: States of neighbor entries that are used as they are: NUD_REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT.
USABLE = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
#: IFLA_BRPORT_*: state, hairpin, flood, broadcast flood, multicast flood, isolated.
STATE, HAIRPIN, FLOOD, MULTICAST, BROADCAST, ISOLATED = 1, 4, 9, 27, 30, 33
#: IFLA_BR_VLAN_FILTERING.
VLAN_FILTERING = 7
TABLE_NAMES = {255: "local", 254: "main", 253: "default"}


class Machine:
    """``topology`` and ``declaration`` are those of the same moment."""

    def __init__(self, mirror: Mirror, topology: Topology, declaration: Declaration) -> None:
        self.topology = topology
        self.declaration = declaration
        self._mirror = mirror
        self._tables: dict[str, Sequence[Table]] = {}
        self._vlans: dict[str, Mapping[int, list[PortVlan]]] = {}
        #: Namespaces of which the rules cannot be read, and why.
        self.unreadable: dict[str, str] = {}

    # links -----------------------------------------------------------------------------------------------------

    def link(self, at: LinkName) -> Link | None:
        """The link, None if it is not there."""
        return self.topology.link(at)

    def index(self, at: LinkName | None) -> int:
        """The index of a link, 0 where there is none."""
        link = self.link(at) if at is not None else None
        return link.index if link is not None else 0

    def vrf(self, at: LinkName | None) -> LinkName | None:
        """The VRF that a link is a member of."""
        master = self.topology.master(at) if at is not None else None
        link = self.link(master) if master is not None else None
        return master if link is not None and link.kind == "vrf" else None

    def port(self, at: LinkName) -> Mapping[int, bytes]:
        """IFLA_BRPORT_* of a port."""
        link = self.link(at)
        return attributes(link.port) if link is not None else {}

    def filters_vlans(self, bridge: LinkName) -> bool:
        """Whether a bridge has VLAN filtering."""
        link = self.link(bridge)
        return bool(link is not None and any(attributes(link.info).get(VLAN_FILTERING, b"")))

    def vlans(self, at: LinkName) -> list[PortVlan]:
        """The VLANs of a port, or of a bridge itself."""
        link = self.link(at)
        if at.netns not in self._vlans:
            self._vlans[at.netns] = {}
            with contextlib.suppress(KernelError):
                self._vlans[at.netns] = lookup.port_vlans(self._mirror.session(at.netns).rtnl)
        return self._vlans[at.netns].get(link.index, []) if link is not None else []

    def sysctl(self, netns: str, path: str) -> str:
        """The value of a key below /proc/sys, "" where there is none."""
        return self._mirror.sysctl(netns, path) or ""

    # questions -------------------------------------------------------------------------------------------------

    def route(self, netns: str, flow: Flow) -> Found:
        """What the kernel does with a packet; KernelError says why nothing."""
        return lookup.route_for(self._mirror.session(netns).rtnl, flow)

    def matching(self, netns: str, flow: Flow) -> tuple[str, str, str]:
        """(network, name of the table, type) of the route that matches; ("", "", "") where none does."""
        try:
            network, table, kind = lookup.matching_route(self._mirror.session(netns).rtnl, flow)
        except KernelError:
            return "", "", ""
        return network, TABLE_NAMES.get(table, str(table)), kind

    def neighbor(self, at: LinkName, address: str) -> Neighbor | None:
        """The entry of a neighbor, if it can be used as it is."""
        link = self.link(at)
        found = lookup.neighbor_for(self._mirror.session(at.netns).rtnl, link.index, address) if link else None
        return found if found is not None and found.state & USABLE else None

    def learned(self, bridge: LinkName, mac: str, vlan: int) -> Port | None:
        """Where a bridge knows a MAC."""
        link = self.link(bridge)
        return lookup.fdb_for(self._mirror.session(bridge.netns).rtnl, link.index, mac, vlan) if link else None

    def remote(self, at: LinkName, mac: str) -> str:
        """Where a vxlan knows a MAC."""
        link = self.link(at)
        return lookup.vxlan_remote(self._mirror.session(at.netns).rtnl, link.index, mac) if link else ""

    def flood_targets(self, at: LinkName) -> list[str]:
        """Where a vxlan sends what is for all, and what it does not know."""
        link = self.link(at)
        entries = self._mirror.fdb(at.netns, link.index) if link is not None else ()
        return list(dict.fromkeys(one.dst for one in entries if one.mac == FLOOD_MAC))

    def address_type(self, netns: str, address: str) -> str:
        """As ``fib daddr type`` says it: local, unicast, broadcast, ...; "" where there is no route."""
        try:
            return self.route(netns, Flow(address)).type
        except KernelError:
            return ""

    # rules -----------------------------------------------------------------------------------------------------

    def tables(self, netns: str) -> Sequence[Table]:
        """The rules of nftables and both iptables of a namespace."""
        if netns not in self._tables:
            self._tables[netns] = self._read_tables(netns)
        return self._tables[netns]

    def _read_tables(self, netns: str) -> Sequence[Table]:
        found: list[Table] = []
        session = self._mirror.session(netns)
        try:
            found = nft.tables_of(session.inside(listing.nft_ruleset))
            for number, table in enumerate(found):
                if table.family == "netdev":
                    devices = session.inside(lambda name=table.name: listing.nft_devices(name))  # type: ignore[misc]
                    found[number] = nft.with_devices(table, devices)
            for family in {table.family for table in found if nft.is_of_iptables(table)}:
                text = session.inside(lambda family=family: listing.iptables(family, legacy=False))  # type: ignore[misc]
                written = saved.tables_of(text, family, "iptables")
                names = {(table.family, table.name) for table in written}
                found = [table for table in found if (table.family, table.name) not in names] + written
            for family in ("ip", "ip6"):
                text = session.inside(lambda family=family: listing.iptables(family, legacy=True))  # type: ignore[misc]
                found += saved.tables_of(text, family, "iptables-legacy")
        except (KernelError, LookupError, TypeError, ValueError) as error:
            self.unreadable[netns] = str(error)
        return found

    def rule_text(self, netns: str, table: Table, where: str) -> str:
        """ "RULE in CHAIN ..." with the words of the rule instead of its number."""
        head, _, rest = where.partition(" in ")
        if not head.startswith("rule ") or not head[5:].isdecimal():
            return where
        chain = rest.partition(" ")[0]
        handle = int(head[5:])
        text = self._mirror.session(netns).inside(lambda: listing.nft_rule(table.family, table.name, chain, handle))
        return f"{text or head} in {rest}"

    # steps -----------------------------------------------------------------------------------------------------

    def step(self, at: LinkName, kind: StepKind, text: str, key: Key | None = None) -> Step:
        """A step at a link, with the object that declares it."""
        key = key or self.declaration.of_link(at)
        shown = str(key) if key is not None and key in self.declaration.desired else ""
        return Step(at.netns, at.name, kind, text, shown, self.declaration.at(key) if shown else "")

    def part(self, netns: str, begin: str) -> Key | None:
        """The declared object of a namespace whose name begins so ("route/main/10.0.0.0/8/")."""
        head = f"{netns}:{begin}" if netns else begin
        return next((key for key in self.declaration.desired if key.netns == netns and str(key).startswith(head)), None)
