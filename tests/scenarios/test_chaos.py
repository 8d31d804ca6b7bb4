"""A short run of ``make chaos``."""

from __future__ import annotations

import pytest

from tests.chaos import Chaos
from tests.support.host import Host


@pytest.mark.thorough
def test_a_hail_of_drift_edits_kills_and_stops_leaves_the_network_whole_and_nothing_else(host: Host) -> None:
    chaos = Chaos(host, seed=4)
    chaos.run(8.0)
    chaos.verify()
    chaos.check_growth()
    assert chaos.counts.total() > 20
