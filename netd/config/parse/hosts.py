"""``[host.NAME]`` over all files: the address of each host, and what ``host:NAME`` means on this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netd.config.diagnostics.explain import meant
from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import HOSTS, titled
from netd.config.merge.merge import shown_place
from netd.kinds import registry
from netd.kinds.base.roles import NamesHosts
from netd.model.desired import Desired, Origin

from .parser import HostEntry, Parsed
from .this_host import ThisHost


class Hosts:
    """The hosts of these files; of two addresses for one, the first counts.

    ``problems`` are those of the files in ``reported``.
    """

    def __init__(self, files: Sequence[Parsed], machine: ThisHost, reported: Mapping[str, Source]) -> None:
        self.problems: list[Problem] = []
        self._machine = machine
        self._reported = reported
        self._found: dict[str, HostEntry] = {}
        self._sources = {each.source.file: each.source for each in files}
        for entry in (entry for each in files for entry in each.hosts):
            other = self._found.setdefault(entry.name, entry)
            if not other.address:
                self._found[entry.name] = entry
            elif entry.address and entry.address != other.address:
                place = shown_place(other.origin, entry.origin, self._sources)
                self._wrong(entry.origin, f"is {other.address} already, at {place}")
        for name, origin in (asked for each in files for asked in each.asked):
            reason = self._unknown(name)
            if reason:
                self._wrong(origin, reason)

    def _wrong(self, origin: Origin, text: str) -> None:
        source = self._reported.get(origin.file)
        if source is not None:
            self.problems.append(source.problem(origin.path, titled(origin.path, text)))

    def _unknown(self, name: str) -> str:
        """Why ``host:NAME`` has no address, "" where it has one."""
        entry = self._found.get(name)
        if entry is None:
            return f"the host '{name}' is not declared{meant(name, self._found)}"
        return "" if entry.address else f"[{HOSTS}.{name}] has no address"

    def resolved(self, objects: Iterable[Desired]) -> Iterator[Desired]:
        """The same objects with addresses, without those that lead to this machine or nowhere."""
        addresses = {name: entry.address for name, entry in self._found.items() if entry.address}
        own = next((address for name, address in addresses.items() if self._machine.is_called(name)), "")
        known = {name: address for name, address in addresses.items() if not self._machine.is_called(name)}
        for each in objects:
            kind = registry()[each.key.kind]
            if not each.hosts or not isinstance(kind, NamesHosts):
                yield each
                continue
            try:
                there = kind.resolve(each, known, own)
            except ValueError as error:
                self._wrong(each.origins[0], str(error))
                continue
            if there is not None:
                yield there
