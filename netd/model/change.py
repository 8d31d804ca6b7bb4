"""What is to be done: derived by comparing, never stored."""

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
    """The order in which steps are sent; deletions run through it backwards, before everything else."""

    CLEAR = 0
    NAMESPACE = 1
    SYSCTL = 2
    LINK = 3
    SETTINGS = 4
    LINK_SYSCTL = 5
    UP = 6
    ADDRESS = 7
    #: Deletions too go here after what comes: with the last address of a link the kernel deletes its routes.
    RENUMBERED = 8
    NEIGHBOR = 9
    ROUTE = 10
    RULE = 11
    FIREWALL = 12


@dataclass(frozen=True, slots=True)
class Step:
    """One operation at its place in the order."""

    phase: Phase
    operation: Operation


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """One field: what the file wants, what the kernel has."""

    want: Any
    have: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One object that differs. ``desired`` None: it goes; ``observed`` None: it is not there."""

    key: Key
    action: Action
    fields: Mapping[str, FieldDiff] = field(default_factory=dict)
    file: str = ""
    desired: Desired | None = None
    observed: Observed | None = None
