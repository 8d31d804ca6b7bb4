"""How often a property is tried: ``NETD_FUZZ`` times as often as in the ordinary run (``make fuzz``)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("NETD_FUZZ", "1"))


def tried(examples: int) -> settings:
    """For ``@tried(300)``; no deadline, because machines are slow."""
    return settings(max_examples=examples * FACTOR, deadline=None, suppress_health_check=list(HealthCheck))
