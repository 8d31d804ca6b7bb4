"""A short run of ``make chaos``."""

from __future__ import annotations

import pytest

from tests.chaos import Chaos
from tests.support.host import Host


# Not strict, because chance decides: it failed in about every second run when this was written, and each failure is a
# defect of netd, not of the test. The mark goes with the defect.
@pytest.mark.xfail(strict=False, reason="a foreign route or address that netd displaced is sometimes not restored")
@pytest.mark.thorough
def test_a_hail_of_drift_edits_kills_and_stops_leaves_the_network_whole_and_nothing_else(host: Host) -> None:
    chaos = Chaos(host, seed=4)
    chaos.run(8.0)
    chaos.verify()
    chaos.check_growth()
    assert chaos.counts.total() > 20
