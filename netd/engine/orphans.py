"""What carries netd's mark, but nothing declares it and the ledger does not know it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import product
from typing import Any

from netd.errors import KernelError
from netd.kinds import registry
from netd.model.key import Key, LinkName

from .index import Index
from .ledger import Ledger
from .mirror import Mirror


def find_orphans(index: Index, ledger: Ledger, mirror: Mirror) -> Mapping[Key, Mapping[str, Any]]:
    """{object: data}, in the host, in all named namespaces and those that netd knows; of what can be read."""
    found: dict[Key, Mapping[str, Any]] = {}
    ours = {key.netns for key in (*index.desired, *ledger)} | {""}
    claims = {claim for key in ledger if (record := ledger.get(key)) for claim in record.claims}
    with mirror.looking(), suppress(KernelError):
        # One namespace may have a name of its maker's too.
        cookies = {mirror.cookie(netns) for netns in ours}
        others = [netns for netns in mirror.kernel.names() if netns not in ours and mirror.cookie(netns) not in cookies]
        for netns, kind in product(sorted([*ours, *others]), registry().values()):
            with suppress(KernelError):
                for key, data in kind.marked(netns, mirror):
                    # The other end of a pair that is known, or a link that is known by another kind, is no orphan.
                    link = LinkName(key.netns, key.name)
                    known = key in index.desired or ledger.get(key) is not None
                    if not known and link not in index.providers and f"link:{link}" not in claims:
                        found[key] = data
    return found
