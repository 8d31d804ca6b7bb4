"""``netd run`` that reads once a second what the kernel reports no change of."""

from __future__ import annotations

import sys

import netd.daemon.daemon
from netd.cli.main import main

netd.daemon.daemon.POLL = 1.0
sys.exit(main())
