"""Lint, types and the rule of doors, as ordinary tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
CODE = [name for name in ("netd", "tests", "demo", "bench", "package") if (TOP / name).is_dir()]


def run(program: str, *arguments: str) -> str:
    """What a tool of this Python's own environment complains of; empty when it is content."""
    command = [str(Path(sys.executable).parent / program), *arguments]
    result = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr if result.returncode else ""


def test_ruff_is_content() -> None:
    assert not run("ruff", "check", "--no-cache", *CODE)


def test_types_hold_strictly() -> None:
    assert not run("mypy", *CODE)


def test_doors_open_one_way() -> None:
    assert not run("lint-imports", "--no-cache")
