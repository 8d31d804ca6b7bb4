"""What drifts on the host drifts in a namespace, too: the same cases there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenarios.drift import Drift, comes_back, inside
from tests.support.host import Host
from tests.support.stage import Stage

from . import test_drift_links as links
from . import test_drift_routes as routes
from . import test_drift_vxlan as vxlan

#: Of bridges a few will do: their options are written by the same code.
BRIDGES = ("bridge-deleted", "bridge-down", "bridge-stp", "bridge-mac")


def alone(host: Host) -> bool:
    """Whether no second route stands beside netd's."""
    return len(host.routes("10.2.0.0/24", ns="n")) == 1


CASES = [
    replace(inside(case), probe=alone) if case.name.startswith("route-doubled") else inside(case)
    for case in (*links.CASES, *routes.CASES, *vxlan.CASES)
    if (case.toml in (routes.ROUTES, vxlan.VXLAN) and not case.spoilt) or case.name in BRIDGES
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_in_a_namespace_comes_back(stage: Stage, case: Drift) -> None:
    comes_back(stage, case)
