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
    #: Parameters with which the kernel changes others.
    WIDE_SYSCTL = 2
    SYSCTL = 3
    LINK = 4
    SETTINGS = 5
    LINK_SYSCTL = 6
    UP = 7
    ADDRESS = 8
    #: Deletions too go here after what comes: with the last address of a link the kernel deletes its routes.
    RENUMBERED = 9
    NEIGHBOR = 10
    ROUTE = 11
    RULE = 12
    FIREWALL = 13


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
