"""Warnings about layer-2 segments that lose full-size frames, as far as the files alone show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.kinds.link.segment import Segments
from netd.model.desired import Desired, Origin
from netd.model.key import HOST, LinkName
from netd.model.segment import AUTO, ETHERNET, End
from netd.model.state import Address, Link


class DeclaredOnly:
    """A machine without any links except those that netd will create."""

    def link(self, netns: str, name: str) -> Link | None:
        return None

    def link_at(self, netns: str, index: int) -> Link | None:
        return None

    def links(self, netns: str) -> Sequence[Link]:
        return ()

    def addresses(self, netns: str, index: int) -> Mapping[str, Address]:
        return {}

    def is_peer_namespace(self, netns: str, nsid: int | None, other: str) -> bool:
        return False

    def namespace_of(self, netns: str, nsid: int | None, likely: str) -> str | None:
        return netns if nsid is None else None


def lost_frames(desired: Iterable[Desired], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """One warning for each segment and file: the first link that sends more than gets through."""
    written = {end.link: one for one in desired for end in one.ends}
    graph = Segments((end for one in written.values() for end in one.ends), DeclaredOnly())
    rank = {link: number for number, link in enumerate(written)}
    seen: set[LinkName] = set()
    for link in written:
        if link in seen:
            continue
        segment = graph.segment(link)
        seen |= segment.members
        ends = [graph.ends[each] for each in sorted(segment.members & rank.keys(), key=lambda each: rank[each])]
        sizes = {end.link: size for end in ends if (size := _passes(end, graph)) is not None}
        if not sizes:
            continue
        narrow = min(sizes, key=lambda each: sizes[each])
        senders = [end for end in ends if (_sends(end) or 0) > sizes[narrow]]
        yield from _told(senders, narrow, sizes[narrow], written, sources)


def _told(
    senders: Sequence[End], narrow: LinkName, size: int, written: Mapping[LinkName, Desired],
    sources: Mapping[str, Source],
) -> Iterator[Problem]:  # fmt: skip
    by_file: dict[str, list[End]] = {}
    for end in senders:
        by_file.setdefault(written[end.link].file, []).append(end)
    for file, (first, *more) in by_file.items():
        if file in sources:
            origin = _origin(first, written[first.link])
            others = f" here, and on {len(more)} more" if more else ""
            text = f'packets of more than {size} bytes are lost at {narrow}: write mtu = "{AUTO}"{others}'
            yield sources[file].problem(origin.path, titled(written[first.link].origins[0].path, text), warning=True)


def _origin(end: End, one: Desired) -> Origin:
    """Where its MTU is written, or would be."""
    path = one.origins[0].path
    inside = end.field.split(".")
    return Origin(one.file, (*path, *(inside if end.mtu is not None else inside[:-1])))


def _sends(end: End) -> int | None:
    """The MTU of a link that sends packets of its own, and does not follow; a port only passes them on."""
    if isinstance(end.mtu, int):
        return None if end.master is not None or end.tunnel is not None else end.mtu
    return None if end.mtu is not None or end.master is not None else end.first or None


def _passes(end: End, graph: Segments) -> int | None:
    """What a link lets through, None where it is not known or follows. A bridge uses only the MTU of its ports."""
    if end.joins == "ports" or end.mtu == AUTO:
        return None
    if isinstance(end.mtu, int):
        return end.mtu
    if end.tunnel is None:
        return end.first or None
    if not end.tunnel.dev:
        # Made with that; what does not fit below is cut by the kernel, and put together again.
        return ETHERNET
    return _present(LinkName(end.tunnel.netns, end.tunnel.dev), graph) - (end.tunnel.overhead or 0)


def _present(carrier: LinkName, graph: Segments) -> int:
    """What carries a tunnel: as written, or as it is on this machine, or as most are."""
    end = graph.ends.get(carrier)
    if end is not None and isinstance(end.mtu, int):
        return end.mtu
    if end is not None and end.mtu == AUTO:
        return graph.segment(carrier).size
    if carrier.netns == HOST and (end is None or end.foreign):
        try:
            return int(Path(f"/sys/class/net/{carrier.name}/mtu").read_text())
        except (OSError, ValueError):
            pass
    return ETHERNET
