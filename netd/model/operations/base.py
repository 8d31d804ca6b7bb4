"""What all operations have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from netd.model import effects


@dataclass(frozen=True, slots=True)
class Operation:
    """The base class of all operations. ``stale``: what one invalidates."""

    netns: str
    stale: ClassVar[tuple[effects.Effect, ...]] = ()


@dataclass(frozen=True, slots=True)
class NamespaceOperation(Operation):
    """Creates or deletes a namespace, or its name: sent alone, from the host."""

    stale = (effects.in_namespace("namespace"),)


@dataclass(frozen=True, slots=True)
class Deletion(Operation):
    """Deletes an object: also successful if it does not exist any more."""


@dataclass(frozen=True, slots=True)
class Restoration(Operation):
    """Writes a foreign object as it was read before: dropped if the kernel does not accept it any more."""
