"""What drifts on the host drifts in a namespace, too: the same cases there."""

from __future__ import annotations

import pytest

from tests.scenarios import test_drift_links as links
from tests.scenarios import test_drift_routes as routes
from tests.scenarios import test_drift_vxlan as vxlan
from tests.scenarios.drift import Drift, comes_back, inside
from tests.stage import Stage

#: Of bridges a few will do: their options are written by the same code.
BRIDGES = ("bridge-deleted", "bridge-down", "bridge-stp", "bridge-mac")

CASES = [
    inside(case)
    for case in (*links.CASES, *routes.CASES, *vxlan.CASES)
    if case.toml in (routes.ROUTES, vxlan.VXLAN) or case.name in BRIDGES
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_in_a_namespace_comes_back(stage: Stage, case: Drift) -> None:
    comes_back(stage, case)
