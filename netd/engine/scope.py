"""What a command works on."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass

from netd.model.key import Key


@dataclass(slots=True)
class Scope:
    """What a command works on. ``files`` and ``keys`` None is everything, else the objects of these files, or these.

    ``waiting``: what is no longer declared of these stays for now; with ``prune`` False that of all.
    """

    files: frozenset[str] | None = None
    prune: bool = True
    keys: frozenset[Key] | None = None
    waiting: Set[Key] = frozenset()

    def withdraws(self, key: Key) -> bool:
        """Whether what is no longer declared of an object is removed."""
        return self.prune and key not in self.waiting

    def covers(self, files: Iterable[str]) -> bool:
        """Whether one of these files is meant; a directory means the files in it."""
        chosen = self.files
        return chosen is None or any(file in chosen or os.path.dirname(file) in chosen for file in files)


def declared_by_none_but(declarers: Collection[str], files: frozenset[str]) -> bool:
    """Whether these files declare it, and no other; a file that is gone declares nothing."""
    return bool(files & set(declarers)) and all(file in files or not os.path.exists(file) for file in declarers)
