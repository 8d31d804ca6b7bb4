"""Kinds of which all objects of a namespace are written at once (address translation: one nft table)."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from netd.model.change import Step
from netd.model.desired import Desired, View

from .kind import Kind


class GroupKind(Kind, abc.ABC):
    """One object cannot be written by itself."""

    def arranged(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        """The objects of one namespace, of all files and in their order, each told of its place."""
        return desired

    @abc.abstractmethod
    def write_all(self, netns: str, desired: Sequence[Desired], view: View) -> Sequence[Step]:
        """Makes all objects of a namespace so; none of them left: removes what holds them.

        Those without an origin are declared no more, but are not to go now: they stay where they stand.
        """
