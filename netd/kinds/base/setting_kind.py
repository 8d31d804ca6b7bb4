"""Kinds of values of something else (kernel parameters): written and restored, never created or deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from netd.model.key import Key

from .kind import Kind


class SettingKind(Kind):
    """Values that the kernel changes together with one are restored with it."""

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
