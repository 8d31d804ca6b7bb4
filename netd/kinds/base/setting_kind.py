"""Kinds of values that belong to something else (kernel parameters): written and put back, never made or deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netd.model.key import Key

from .kind import Kind


class SettingKind(Kind):
    """What the kernel does with other values when one is written, is put back with it."""

    def side_effects(self, key: Key, value: Any, links: Iterable[str]) -> Mapping[str, str]:
        """What the kernel makes of other values below /proc/sys when this one becomes ``value``: {path: value}.

        Those that are otherwise before netd's first write are put back after it (``restore``). ``links``: of others.
        """
        return {}

    def changed_by(self, key: Key) -> tuple[Key, str] | None:
        """The object with which the kernel changes this one, and its name in ``side_effects``."""
        return None
