"""What carries netd's mark, but nothing declares it and the ledger does not know it."""

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


def find_orphans(index: DependencyGraph, ledger: Ledger, mirror: Mirror) -> Mapping[Key, Mapping[str, Any]]:
    """{object: data}, in the host, in all named namespaces and those that netd knows; of what can be read."""
    found: dict[Key, Mapping[str, Any]] = {}
    with mirror.reading(), suppress(Exception):
        # One namespace may have several names: one of its maker's, too.
        names: dict[int | None, list[str]] = {}
        ours = {HOST, *(key.netns for key in (*index.desired, *ledger))}
        for netns in (*sorted(ours), *(netns for netns in mirror.kernel.names() if netns not in ours)):
            names.setdefault(mirror.cookie(netns), []).append(netns)
        known = _known(index, ledger)
        for alike, kind in product(names.values(), registry().values()):
            with suppress(Exception):
                for key, data in kind.marked(alike[0], mirror):
                    # The other end of a pair that is known, or a link that is known by another kind, is no orphan.
                    if not any({key._replace(netns=netns), LinkName(netns, key.name)} & known for netns in alike):
                        found[key] = data
    return found


def _known(index: DependencyGraph, ledger: Ledger) -> Set[Key | LinkName]:
    """The objects and links of netd, by each name of their namespaces."""
    claims = [claim for key in ledger if (record := ledger.get(key)) for claim in record.claims]
    links = [claim.removeprefix("link:").rpartition(":") for claim in claims if claim.startswith("link:")]
    return {*index.desired, *ledger, *index.providers, *(LinkName(netns, name) for netns, _, name in links)}
