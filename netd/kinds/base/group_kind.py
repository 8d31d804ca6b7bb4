"""Kinds with a common form in the kernel: all objects of a namespace are written at once (NAT: one nft table)."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from netd.model.change import Step
from netd.model.desired import Desired, View

from .kind import Kind


class GroupKind(Kind, abc.ABC):
    """One object cannot be written by itself."""

    def arranged(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        """The objects of one namespace, from all files and in their order, each with its position."""
        return desired

    @abc.abstractmethod
    def write_all(self, netns: str, desired: Sequence[Desired], view: View) -> Sequence[Step]:
        """Writes all objects of a namespace; without any, removes what contains them.

        Objects without an origin are no longer declared, but are not removed in this pass: they keep their positions.
        """
