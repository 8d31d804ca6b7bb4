"""Dummy links: ``[dummy.NAME]``, ip-link(8) "dummy"."""

from __future__ import annotations

from .base.kind import TomlForm
from .link.ends import LinkTable
from .link.link_kind import LinkKind


class DummyTable(LinkTable):
    """A link that drops what it sends: for addresses of the machine itself, and for tests."""


class DummyKind(LinkKind):
    """dummy/N."""

    name = "dummy"
    toml = TomlForm(DummyTable)
