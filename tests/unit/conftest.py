"""What every test here needs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_routes_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netd.config.lint.links.default_routes", lambda: iter(()))
