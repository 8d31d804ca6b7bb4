"""What only some kinds of objects do, whatever else they are: a kind has these among its bases."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

from netd.errors import KernelError
from netd.model.desired import Desired, Observed, View
from netd.model.key import Key, LinkName
from netd.model.status import Unusable


class NamesHosts(abc.ABC):
    """They can name other machines ("host:NAME") instead of their addresses."""

    @abc.abstractmethod
    def resolve(self, desired: Desired, addresses: Mapping[str, str], own: str) -> Desired | None:
        """``desired`` with the ``addresses`` of its ``hosts``; None: it leads to none of them.

        ``own`` is the address of this machine. ValueError where they do not fit together.
        """


class BecomesUsable:
    """They may be as declared and of no use yet, or wait for such a one."""

    def unusable(self, desired: Desired, observed: Observed, view: View) -> Unusable | None:
        """Why it cannot be used although it is as declared; None where it can."""
        return None

    def refused_until(self, desired: Desired, view: View, error: KernelError) -> Unusable | None:
        """What the kernel refuses it for only as long as something else is so; None: for another reason.

        ``error`` is the kernel's answer.
        """
        return None


class KeepsAttributes(abc.ABC):
    """netd keeps more of those that it made than files say: what decides where packets go."""

    @abc.abstractmethod
    def owned_fields(self, desired: Desired, memory: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fields that are kept although nobody writes them; ``memory`` is the ledger's."""


class Diagnosed(abc.ABC):
    """They may be as declared while something beside them is wrong."""

    @abc.abstractmethod
    def diagnosis(self, desired: Desired, view: View) -> str:
        """What is wrong, in words; "" for nothing."""


class Announced(abc.ABC):
    """The machines of their segment are told of them."""

    @abc.abstractmethod
    def announced(self, key: Key) -> tuple[LinkName, str] | None:
        """The link and the address that its segment is told of once it is usable; None: nothing is told."""
