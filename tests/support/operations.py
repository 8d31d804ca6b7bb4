"""The sorts of operations, for tests that go through all of each."""

from __future__ import annotations

from netd.model import operations as do


def sort(root: type[do.Operation]) -> tuple[type[do.Operation], ...]:
    """All operations below a root."""
    found = (one for one in vars(do).values() if isinstance(one, type) and issubclass(one, root))
    return tuple(one for one in found if one not in ROOTS)


ROOTS = (do.Operation, do.NamespaceOperation, do.Deletion, do.Restoration)
OPERATIONS = sort(do.Operation)
NAMESPACE_OPERATIONS = sort(do.NamespaceOperation)
