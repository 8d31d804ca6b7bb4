"""Counters of all links of a namespace, by name: what ``netd top`` makes rates of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from netd.model.desired import View
from netd.model.key import LinkName


class CounterReader(Protocol):
    """Reads counters of a namespace in one dump."""

    def all_counters(self, netns: str) -> Mapping[int, Mapping[str, int]]:
        """{index: counters}."""


def link_counters(view: View, reader: CounterReader, netns: str) -> dict[str, Any]:
    """{"[NAMESPACE:]LINK": {"rx_bytes", ...}}."""
    counters = reader.all_counters(netns)
    links = {link.index: link for link in view.links(netns)}
    return {
        str(LinkName(netns, links[index].name)): dict(values) for index, values in counters.items() if index in links
    }
