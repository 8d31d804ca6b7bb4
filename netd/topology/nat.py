"""Address translation between links: the entries of netd's own table, declared or found."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from netd.errors import KernelError
from netd.kinds.nat import NatKind
from netd.model.key import HOST, Key, LinkName

from .declaration import Declaration
from .topology import Topology

NAT = NatKind.name
#: RT_TABLE_MAIN, and the default route of each family.
MAIN, DEFAULTS = 254, ((socket.AF_INET, "0.0.0.0/0"), (socket.AF_INET6, "::/0"))


class Translation(NamedTuple):
    """One entry. ``text`` says what it does; ``source`` and ``target`` are a link, or an address or network as text.

    None: nothing is known of that side.
    """

    key: Key
    text: str
    source: LinkName | str | None
    target: LinkName | str | None


def translations(topology: Topology, declaration: Declaration) -> Iterator[Translation]:
    """The entries of the host, and of the namespaces for which the files declare some."""
    declared = [key for key in declaration.desired if key.kind == NAT]
    for netns in dict.fromkeys((HOST, *(key.netns for key in declared))):
        if netns not in topology.namespaces:
            continue
        try:
            found = [Key(netns, NAT, name) for name in topology.view.firewall(netns).own]
        except KernelError:
            found = []
        own = (key for key in declared if key.netns == netns)
        for key in dict.fromkeys((*own, *found)):
            yield translation(topology, declaration, key)


def translation(topology: Topology, declaration: Declaration, key: Key) -> Translation:
    """One entry, by its name; where its packets go is in the declaration only."""
    kind, _, rest = key.name.partition("/")
    if kind == "dnat":
        return _dnat(topology, declaration, key, rest)
    family, _, rest = rest.partition("/")
    source, _, out = rest.rpartition(",")
    to = _locator(declaration, key).get("to", "")
    shown = [kind, "" if source == "*" else source, "" if out == "*" else f"out {out}", f"to {to}" if to else ""]
    begin = None if source == "*" else topology.on_network(key.netns, source) or source
    end = LinkName(key.netns, out) if out != "*" else uplink(topology, key.netns, family)
    return Translation(key, " ".join(filter(None, shown)), begin, end)


def _dnat(topology: Topology, declaration: Declaration, key: Key, rest: str) -> Translation:
    family, protocol, rest = rest.split("/", 2)
    port, destination, came_by = rest.split(",")
    known = _locator(declaration, key)
    address, to_port = known.get("address", ""), known.get("to_port", "")
    target = f"[{address}]:{to_port}" if ":" in address and to_port else ":".join(filter(None, (address, to_port)))
    begin: LinkName | str | None = None
    if came_by != "*":
        begin = LinkName(key.netns, came_by)
    elif destination != "*":
        begin = next((at for at in topology.holders(destination) if at.netns == key.netns), destination)
    else:
        begin = uplink(topology, key.netns, family)
    shown = ["dnat", protocol, port, "" if destination == "*" else f"of {destination}",
             "" if came_by == "*" else f"in {came_by}", f"to {target}" if target else ""]  # fmt: skip
    return Translation(key, " ".join(filter(None, shown)), begin, _holder(topology, address))


def _holder(topology: Topology, address: str) -> LinkName | str | None:
    return next(iter(topology.holders(address)), address) if address else None


def _locator(declaration: Declaration, key: Key) -> dict[str, Any]:
    one = declaration.desired.get(key)
    return dict(one.locator) if one is not None else {}


def uplink(topology: Topology, netns: str, family: str) -> LinkName | None:
    """The link of the default route (``family``: "ip", "ip6", or "inet" for either)."""
    for number, to in DEFAULTS:
        if family == "inet" or (family == "ip6") is (number == socket.AF_INET6):
            routes = [one for one in topology.view.all_routes(netns) if (one.table, one.to) == (MAIN, to)]
            found = _first_hop(topology, netns, (hop.index for one in routes for hop in one.nexthops))
            if found is not None:
                return found
    return None


def _first_hop(topology: Topology, netns: str, indexes: Iterable[int]) -> LinkName | None:
    found = (topology.at(netns, index) for index in indexes)
    return next((at for at in found if at is not None), None)
