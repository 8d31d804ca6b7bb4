"""What unit tests must not see: the routes of the machine that they run on."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_routes_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("netd.config.lint.links.ROUTES4", str(tmp_path / "route"))
    monkeypatch.setattr("netd.config.lint.links.ROUTES6", str(tmp_path / "ipv6_route"))
