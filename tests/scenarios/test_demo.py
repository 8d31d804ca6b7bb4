"""``make demo`` shows what it says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from demo.show import BREAKS
from tests.conftest import need_root
from tests.support.host import ROOT


def demo(*options: str, keys: str = "") -> str:
    need_root()
    command = [sys.executable, "-m", "demo", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, input=keys)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything healed." in done.stdout
    return done.stdout


def test_the_demo_breaks_a_lab_and_shows_each_repair_in_one_line() -> None:
    said = demo()
    lines = [line for line in said.splitlines() if ": repaired after " in line]
    assert len(lines) == len(BREAKS)
    assert [line for line in lines if not re.search(r"^   ok   someone .*: repaired after \d+ ms$", line)] == []
    table = said.partition("== Repairs")[2].partition("==")[0]
    assert [line.split(" ms  ")[1] for line in table.splitlines()[1:] if line] == [damage.what for damage in BREAKS]
    assert "make install" in said.partition("== What to do next")[2]
    assert "netd starts" not in said, "the log is for -v"


@pytest.mark.thorough
def test_the_demo_shows_the_log_and_waits_if_it_is_told_to() -> None:
    said = demo("-v", "--step", keys="\n" * len(BREAKS))
    assert "netd starts" in said and said.count("Enter: someone ") == len(BREAKS)
