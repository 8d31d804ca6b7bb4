"""Objects that carry netd's mark, but that neither a file declares nor the ledger knows."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from itertools import product
from typing import Any

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.ledger import Ledger
from netd.engine.observe.mirror import Mirror
from netd.kinds import registry
from netd.model.key import HOST, Key, LinkName


def find_orphans(graph: DependencyGraph, ledger: Ledger, mirror: Mirror) -> Mapping[Key, Mapping[str, Any]]:
    """{object: locator}, on the host, in all named namespaces and in those that netd knows, where they can be read."""
    found: dict[Key, Mapping[str, Any]] = {}
    with mirror.reading(), suppress(Exception):
        # One namespace may have several names.
        names: dict[int | None, list[str]] = {}
        ours = {HOST, *(key.netns for key in (*graph.desired, *ledger))}
        for netns in (*sorted(ours), *(netns for netns in mirror.kernel.names() if netns not in ours)):
            names.setdefault(mirror.cookie(netns), []).append(netns)
        known = _known(graph, ledger)
        for alike, kind in product(names.values(), registry().values()):
            with suppress(Exception):
                for key, locator in kind.marked(alike[0], mirror):
                    # The other end of a known pair, or a link that is known as another kind, is no orphan.
                    if not any({key._replace(netns=netns), LinkName(netns, key.name)} & known for netns in alike):
                        found[key] = locator
    return found


def _known(graph: DependencyGraph, ledger: Ledger) -> Set[Key | LinkName]:
    """The objects and links of netd, by each name of their namespaces."""
    claims = [claim for key in ledger if (record := ledger.get(key)) for claim in record.claims]
    links = [claim.removeprefix("link:").rpartition(":") for claim in claims if claim.startswith("link:")]
    return {*graph.desired, *ledger, *graph.providers, *(LinkName(netns, name) for netns, _, name in links)}
