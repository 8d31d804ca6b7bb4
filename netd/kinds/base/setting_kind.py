"""Kinds of values of something else (kernel parameters, VLANs): written and restored, never created or deleted."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from netd.model.key import Key

from .kind import Kind


class ValueKind(Kind):
    """Values that exist with what they are of."""

    #: A value that could not be read before the first write was the kernel's default, which ``reverted`` knows.
    has_default: ClassVar[bool] = False

    def side_effects(self, key: Key, value: Any, links: Iterable[str]) -> Mapping[str, str]:
        """The other values below /proc/sys that the kernel changes when this one becomes ``value``: {path: value}.

        Those that differ before netd's first write are restored after it. ``links``: the foreign links.
        """
        return {}

    def changed_by(self, key: Key) -> tuple[Key, str] | None:
        """The object with which the kernel changes this one, and its name in ``side_effects``."""
        return None


class SettingKind(ValueKind, abc.ABC):
    """Kernel parameters. Values that the kernel changes together with one are restored with it."""

    @abc.abstractmethod
    def key_of(self, netns: str, path: str) -> Key:
        """The object that is the value at this path below /proc/sys."""

    @abc.abstractmethod
    def path_of(self, key: Key) -> str:
        """The path of its value below /proc/sys."""

    def example_path(self, key: Key) -> str:
        """A path that exists if the kernel knows the parameter, also while the link that it is about does not exist."""
        return self.path_of(key)
