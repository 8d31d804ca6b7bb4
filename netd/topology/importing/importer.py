"""The whole: sections for the host and the namespaces, then what could not be said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netd.model.key import HOST, namespace_key

from .draft import Draft
from .ends import EndWriter
from .facts import Facts
from .links import LinkWriter
from .routes import RouteWriter
from .settings import SettingWriter

#: Kinds of foreign namespaces by how their names lead to them.
ATTACH = "attach"


def imported(facts: Facts, names: Sequence[str]) -> Iterator[str]:
    """The lines of a file that declares these namespaces ("": the host) as they are."""
    draft = Draft(names)
    ends = EndWriter(facts, draft)
    links, settings = LinkWriter(facts, draft, ends), SettingWriter(facts, draft)
    for netns in names:
        _name(facts, draft, netns)
        links.write(netns)
    routes = RouteWriter(facts, draft, ends.gateways)
    for netns in names:
        routes.write(netns)
        settings.sysctls(netns)
        settings.nat(netns)
    yield from draft.lines()


def _name(facts: Facts, draft: Draft, netns: str) -> None:
    """How the namespace comes to its name."""
    if netns == HOST:
        return
    record = facts.records.get(namespace_key(netns))
    source = str(record.locator.get(ATTACH) or "") if record is not None else ""
    if source:
        draft.sections[netns].own[ATTACH] = source
    loopback = facts.topology.view.link(netns, "lo")
    if loopback is not None and not loopback.up and not source:
        draft.note(netns, "lo is down: in a namespace of netd it is up")
