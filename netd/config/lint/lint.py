"""Warnings: names that are not declared, address translation without forwarding, lost frames."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netd.config.diagnostics.explain import meant
from netd.config.diagnostics.positions import TomlPath
from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.config.facts import forwarded_families, setting_key
from netd.config.merge.merge import find, table_at
from netd.config.parse.parser import Parsed
from netd.kinds.base.kind import LOOPBACK
from netd.model.desired import Desired, Origin
from netd.model.key import HOST, Key, LinkName

from .addresses import address_warnings
from .advertised import advertised_warnings
from .kernel_refusals import refused
from .links import link_warnings
from .machine import machine_warnings
from .mtu import lost_frames

FORWARDING = {"ip": "net/ipv4/ip_forward", "ip6": "net/ipv6/conf/all/forwarding"}


def warnings(desired: Mapping[Key, Desired], parsed: Sequence[Parsed]) -> Iterator[Problem]:
    """All warnings of all files. If a file cannot be read, its names are unknown: then there are none about names."""
    sources = {each.source.file: each.source for each in parsed}
    if all(each.readable for each in parsed):
        names = _Names(desired, parsed, sources)
        yield from names.unknown()
        yield from names.unknown_in_checks()
    yield from _forwarding(desired, parsed, sources)
    yield from refused(desired, sources)
    yield from address_warnings(desired, sources)
    yield from machine_warnings(desired, sources)
    yield from advertised_warnings(desired, sources)
    yield from link_warnings(desired, sources)
    yield from lost_frames(desired.values(), sources)


class _Names:
    """What is declared anywhere, tables with problems included."""

    def __init__(self, desired: Mapping[Key, Desired], parsed: Sequence[Parsed], sources: Mapping[str, Source]) -> None:
        self.desired = desired
        self.sources = sources
        self.parsed = parsed
        self.links = {link for each in parsed for link in each.links}
        self.namespaces = {name for each in parsed for name in each.namespaces}
        self.by_namespace: dict[str, set[str]] = {}
        for link in self.links:
            self.by_namespace.setdefault(link.netns, set()).add(link.name)
        self.foreign = {key.name for key, each in desired.items() if key.is_namespace and each.source}

    def unknown(self) -> Iterator[Problem]:
        reported: set[Origin] = set()
        for each in self.desired.values():
            for origin, text in self._of(each):
                if origin.file in self.sources and origin not in reported:
                    reported.add(origin)
                    length = len(each.origins[0].path)
                    shown = titled(origin.path if len(origin.path) > length else each.origins[0].path, text)
                    yield self.sources[origin.file].problem(origin.path, shown, warning=True)

    def unknown_in_checks(self) -> Iterator[Problem]:
        """Checks that are tried from namespaces that are nowhere."""
        for check in (check for each in self.parsed for check in each.checks):
            if check.netns and self._no_namespace(check.netns):
                path = (*check.origin.path, "from")
                text = f"the namespace '{check.netns}' is not declared{meant(check.netns, self.namespaces)}"
                yield self.sources[check.origin.file].problem(path, titled(path, text), warning=True)

    def _no_namespace(self, netns: str) -> bool:
        return netns not in self.namespaces and not os.path.exists(f"/run/netns/{netns}")

    def _of(self, each: Desired) -> Iterator[tuple[Origin, str]]:
        for link in dict.fromkeys((*each.requires, *each.after)):
            hint = self._missing(link)
            if hint is not None:
                yield self._written(each, link.name), hint + self._in_peer(each, link)
        for link, origin in each.references:
            hint = self._missing(link)
            if hint is not None:
                yield origin, hint
        for netns in each.namespaces:
            if self._no_namespace(netns):
                yield (
                    self._written(each, netns),
                    f"the namespace '{netns}' is not declared{meant(netns, self.namespaces)}",
                )

    def _missing(self, link: LinkName) -> str | None:
        """The warning about an undeclared name; None where it is declared, or probably another program's."""
        known = self.by_namespace.get(link.netns, set())
        if link in self.links or link.name == LOOPBACK or (link.netns and link.netns not in self.namespaces):
            return None
        near = meant(link.name, known)
        if (link.netns == HOST and _on_this_machine(link.name)) or (not near and link.netns in self.foreign):
            return None
        where = f" in {link.netns}" if link.netns else ""
        return f"'{link.name}' is not declared{where}{near}"

    def _in_peer(self, each: Desired, link: LinkName) -> str:
        """What to write where a pair's end in a namespace has the ``master`` that its other end, on the host, needs."""
        if not link.netns or not (LinkName(HOST, link.name) in self.links or _on_this_machine(link.name)):
            return ""
        others = (end.peer for end in each.ends if end.master == link)
        other = next((peer for peer in others if peer is not None and peer.netns == HOST), None)
        if other is None:
            return ""
        written = f'peer = {{ name = "{other.name}", master = "{link.name}" }}'
        return f": {link.name} is on the host, as {other.name} is: write {written}"

    def _written(self, each: Desired, name: str) -> Origin:
        """The place in an object's table where it names another object."""
        origin = each.origins[0]
        source = self.sources.get(origin.file)
        inside: TomlPath = find(table_at(source.data, origin.path), name) if source else ()
        return Origin(origin.file, origin.path + inside)


def _on_this_machine(name: str) -> bool:
    return os.path.exists(f"/sys/class/net/{name}")


def _forwarding(
    desired: Mapping[Key, Desired], parsed: Sequence[Parsed], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """One for each namespace, file and family."""
    declared = set(desired) | {each.key for one in parsed for each in one.objects}
    reported: set[tuple[str, str, str]] = set()
    for each in desired.values():
        families = forwarded_families(each.key)
        if not families or each.file not in sources:
            continue
        settings = [setting_key(each.key.netns, FORWARDING[family]) for family in families]
        if not declared.isdisjoint(settings):
            continue
        names = [key.name for key in settings]
        subject = (each.key.netns, each.file, names[0])
        if subject not in reported:
            reported.add(subject)
            origin = each.origins[0]
            text = f"{_either(names)} is not declared here: without it nothing is routed"
            yield sources[origin.file].problem(origin.path, titled(origin.path, text), warning=True)


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)
