"""What importing reads beyond the topology, and what netd's ledger knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from netd.engine.record import Record
from netd.model.key import Key, LinkName
from netd.model.state import Route
from netd.topology.topology import Topology


class Extra(Protocol):
    """Reads of the kernel that nothing else needs."""

    def routes(self, netns: str) -> Sequence[Route]:
        """The routes of all tables and both families."""

    def sysctls(self, netns: str) -> Mapping[str, str]:
        """{path below /proc/sys: value} of all network parameters of a namespace."""

    def fresh_sysctls(self) -> Mapping[str, str]:
        """The same of a namespace that was just created."""


@dataclass(frozen=True)
class Facts:
    """``records``: the ledger. ``derived_mac``: the MAC address that netd gives to a link, if it knows its key.

    ``everything``: other tools' things, too (--all).

    ``skipped``: links that are left out, because they belong to another tool, with the tool.
    """

    topology: Topology
    extra: Extra
    records: Mapping[Key, Record] = field(default_factory=dict)
    derived_mac: Callable[[LinkName], str] | None = None
    everything: bool = False
    skipped: Mapping[LinkName, str] = field(default_factory=dict)

    def known(self, netns: str, kind: str) -> Iterator[tuple[Key, Record]]:
        """The records of one kind in a namespace."""
        return ((key, one) for key, one in self.records.items() if (key.netns, key.kind) == (netns, kind))

    def is_known(self, key: Key) -> bool:
        """Whether the ledger has it: then it is named as before."""
        return key in self.records
