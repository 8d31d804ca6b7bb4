"""Connections in the kernel's table (conntrack), and the address translations that they can have.

A connection keeps the translation of its first packet for as long as packets come. So when a file changes, connections
with a translation that is no longer declared have to be deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal

#: IPS_SRC_NAT and IPS_DST_NAT, include/uapi/linux/netfilter/nf_conntrack_common.h.
SOURCE_NAT, DESTINATION_NAT = 1 << 4, 1 << 5
TCP, UDP = 6, 17
PROTOCOLS = {"tcp": TCP, "udp": UDP}
#: TCP_CONNTRACK_ESTABLISHED to LAST_ACK: both ends have state that another target would not have.
ESTABLISHED = range(3, 7)


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry of the conntrack table. ``source`` and ``destination`` are the original packet's.

    ``to`` and ``to_port`` are the real destination, ``leaves_as`` is the real source address. ``raw`` identifies
    the entry to the kernel: CTA_TUPLE_ORIG, CTA_ZONE and CTA_ID as they were read.
    """

    family: int
    protocol: int
    source: str
    destination: str
    port: int
    to: str
    to_port: int
    leaves_as: str
    status: int = 0
    tcp_state: int = 0
    raw: bytes = b""

    @property
    def established(self) -> bool:
        """Whether it is an established TCP connection."""
        return self.protocol == TCP and self.tcp_state in ESTABLISHED


@dataclass(frozen=True, slots=True)
class Translation:
    """One entry of address translation, as far as it concerns existing connections.

    ``standing``: it is in force; ``changed``: it was added, removed or changed since the connections began.
    ``link`` is ``in`` of a dnat, ``out`` of the others; ``ports`` and ``to_ports`` are first and last.
    """

    type: Literal["dnat", "snat", "masquerade"]
    standing: bool = True
    changed: bool = True
    family: int = 0
    source: str = ""
    link: str = ""
    to: str = ""
    protocol: int = 0
    ports: tuple[int, int] = (0, 0)
    to_ports: tuple[int, int] | None = None
    destination: str = ""


class Stale:
    """The connections with a translation that the entries, in their order, no longer produce.

    ``local`` are the addresses of the namespace, ``leaves_by`` says by which link a packet to an address leaves it
    ("" where none does), and with which addresses it may be masqueraded there. Only what a changed entry is about is
    looked at.
    """

    def __init__(
        self,
        entries: Sequence[Translation],
        local: Collection[str],
        leaves_by: Callable[[str], tuple[str, Collection[str]]],
    ) -> None:
        self._incoming = [one for one in entries if one.type == "dnat"]
        self._outgoing = [one for one in entries if one.type != "dnat"]
        self._local = frozenset(local)
        self._leaves_by = leaves_by

    def __call__(self, flow: Flow) -> bool:
        return self.destination_stale(flow) or self.source_stale(flow)

    def destination_stale(self, flow: Flow) -> bool:
        """Whether it goes to a target that no entry leads to."""
        about = [one for one in self._incoming if self._is_to(flow, one)]
        if not any(one.changed for one in about):
            return False
        for one in about:
            if one.standing:
                if (flow.to, flow.to_port) == _target(one, flow.port):
                    return False
                if not one.link:
                    return True
        # The incoming link of a connection is not known: it may be another one.
        return (flow.to, flow.to_port) != (flow.destination, flow.port)

    def _is_to(self, flow: Flow, one: Translation) -> bool:
        if (one.family, one.protocol) != (flow.family, flow.protocol):
            return False
        if not one.ports[0] <= flow.port <= one.ports[1]:
            return False
        if one.destination:
            return flow.destination == one.destination
        if flow.destination in self._local:
            return not ip_address(flow.destination).is_loopback
        # The address may have been removed, while its connections remain.
        return bool(flow.status & DESTINATION_NAT) and flow.to == one.to

    def address_gone(self, flow: Flow) -> bool:
        """Whether it leaves with an address that the machine no longer has, so that no answer comes back."""
        return bool(flow.status & SOURCE_NAT) and flow.leaves_as not in self._local

    def source_stale(self, flow: Flow) -> bool:
        """Whether it leaves with a source address that no entry produces."""
        if flow.to in self._local:
            return False
        about = [one for one in self._outgoing if self._is_from(flow, one)]
        if not any(one.changed for one in about):
            return False
        if flow.status & DESTINATION_NAT and flow.leaves_as in self._local:
            return False  # masqueraded, so that the answer comes back this way
        first = next((one for one in about if one.standing), None)
        if first is None:
            return flow.leaves_as != flow.source
        return flow.leaves_as not in ((first.to,) if first.to else self._leaves_by(flow.to)[1])

    def _is_from(self, flow: Flow, one: Translation) -> bool:
        if one.family not in (0, flow.family):
            return False
        if one.source:
            network = ip_network(one.source)
            if ip_address(flow.source) not in network or (not one.link and ip_address(flow.to) in network):
                return False
        return not one.link or self._leaves_by(flow.to)[0] == one.link


def _target(one: Translation, port: int) -> tuple[str, int]:
    """Where an entry leads a packet to this port."""
    if one.to_ports is None:
        return one.to, port
    return one.to, one.to_ports[0] + port - one.ports[0]
