"""The changes to make: derived by comparing, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from .desired import Desired, Observed
from .key import Key
from .operations import Operation

Action = Literal["create", "update", "recreate", "delete"]


class Phase(IntEnum):
    """The order in which steps are sent; deletions use it in reverse, before everything else."""

    CLEAR = 0
    NAMESPACE = 1
    #: Parameters of links that decide what the next ones delete: whether a router's routes survive forwarding.
    EARLY_SYSCTL = 2
    #: Parameters with which the kernel changes others.
    WIDE_SYSCTL = 3
    SYSCTL = 4
    LINK = 5
    SETTINGS = 6
    LINK_SYSCTL = 7
    UP = 8
    ADDRESS = 9
    #: Here deletions also come after creations: with the last address of a link the kernel deletes its routes.
    RENUMBERED = 10
    NEIGHBOR = 11
    ROUTE = 12
    RULE = 13
    FIREWALL = 14


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with its position in the order."""

    phase: Phase
    operation: Operation


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """One field: the declared value, and the kernel's."""

    want: Any
    have: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One object that differs. ``desired`` None: it is removed; ``observed`` None: it does not exist."""

    key: Key
    action: Action
    fields: Mapping[str, FieldDiff] = field(default_factory=dict)
    file: str = ""
    desired: Desired | None = None
    observed: Observed | None = None


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """One change that was made, or refused (``error``).

    ``seconds`` is the time since the start of the pass. ``drift``: a repair of what ``culprit`` changed ("": unknown).
    """

    change: Change
    pass_number: int
    seconds: float
    drift: bool
    error: str = ""
    culprit: str = ""
