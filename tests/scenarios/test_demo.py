"""``make demo`` shows what it says."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import need_root
from tests.support.host import ROOT


def test_the_demo_breaks_a_lab_and_shows_each_repair() -> None:
    need_root()
    done = subprocess.run([sys.executable, "-m", "demo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything healed." in done.stdout and done.stdout.count("healed: ") > 5
