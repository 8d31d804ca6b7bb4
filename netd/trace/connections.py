"""What connection tracking remembers of one packet on its way, so that its answer finds back: net/netfilter."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .packet import Ends, Packet


@dataclass(slots=True)
class Connection:
    """In one namespace: the ends of the first packet as it came in, and as it left."""

    original: Ends
    final: Ends
    translated: frozenset[str] = frozenset()


class Connections:
    """Of one trace. Packets of a tunnel are connections of their own."""

    def __init__(self) -> None:
        self._known: dict[str, list[Connection]] = {}

    def enter(self, netns: str, packet: Packet) -> Packet:
        """The packet with the state of its connection in this namespace."""
        found = self._answered(netns, packet.ends)
        if found is not None:
            return replace(packet, state="established", translated=found.translated)
        if packet.reply:
            return replace(packet, state="invalid", translated=frozenset())
        if self._of_original(netns, packet.ends) is None:
            self._known.setdefault(netns, []).append(Connection(packet.ends, packet.ends))
        return replace(packet, state="new", translated=frozenset())

    def leave(self, netns: str, packet: Packet) -> None:
        """The first packet of a connection leaves the namespace, or is delivered there."""
        if packet.reply or packet.state != "new":
            return
        for one in self._known.get(netns, ())[-1:]:
            one.final, one.translated = packet.ends, packet.translated

    def undo_destination(self, netns: str, packet: Packet) -> Packet:
        """An answer goes back to who has asked."""
        found = self._answered(netns, packet.ends)
        if found is None:
            return packet
        ends, first = packet.ends, found.original
        return packet.to(Ends(ends.source, first.source, ends.source_port, first.source_port))

    def undo_source(self, netns: str, packet: Packet) -> Packet:
        """An answer comes from where the question was sent to."""
        if packet.state != "established":
            return packet
        for one in self._known.get(netns, ()):
            if (packet.ends.source, packet.ends.source_port) == (one.final.destination, one.final.port) and (
                packet.ends.destination, packet.ends.port
            ) == (one.original.source, one.original.source_port):  # fmt: skip
                return packet.to(one.original.reversed())
        return packet

    def _answered(self, netns: str, ends: Ends) -> Connection | None:
        return next((one for one in self._known.get(netns, ()) if ends == one.final.reversed()), None)

    def _of_original(self, netns: str, ends: Ends) -> Connection | None:
        return next((one for one in self._known.get(netns, ()) if ends == one.original), None)
