"""What the project says of itself agrees: version, changelog, make's targets, decisions."""

from __future__ import annotations

import re
import subprocess
import sys
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from netd import __version__

TOP = Path(__file__).resolve().parents[2]
#: deb-changelog(5): the first line of a version, and the last.
TITLE = re.compile(r"^netd \((\S+)\) (?:stable|UNRELEASED); urgency=medium$", re.MULTILINE)
TRAILER = re.compile(r"^ -- The netd authors <\S+@\S+>  (.+)$", re.MULTILINE)


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(.+)\]", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == __version__
    assert versions == sorted(set(versions), key=lambda each: [*map(int, each.split("."))], reverse=True)


def test_the_package_has_the_whole_changelog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    program = [sys.executable, str(TOP / "package" / "changelog.py")]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    text = (TOP / "CHANGELOG.md").read_text()
    assert TITLE.findall(printed) == re.findall(r"^## \[(.+)\]", text, re.MULTILINE)
    assert printed.count("\n  * ") == text.count("\n- ")
    dates = [parsedate_to_datetime(date) for date in TRAILER.findall(printed)]
    assert len(dates) == len(TITLE.findall(printed))
    assert dates[-1].isoformat() == "2026-11-26T00:00:00+00:00"
    assert dates == sorted(dates, reverse=True)
    assert max(map(len, printed.splitlines())) <= 80


def test_make_lists_each_target_that_is_meant_to_be_called() -> None:
    makefile = (TOP / "Makefile").read_text().replace("\\\n", "")
    phony = {name for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for name in line.split()}
    inner = {name for name in phony if name == "root" or name.endswith("-packages")}
    printed = subprocess.run(["make", "-C", str(TOP)], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  ([a-z-]+) +\S", printed, re.MULTILINE)) == phony - inner


def test_each_decision_is_in_the_index_and_says_how_it_was_measured() -> None:
    index = (TOP / "docs" / "explanation" / "adr" / "README.md").read_text()
    pages = sorted((TOP / "docs" / "explanation" / "adr").glob("[0-9]*.md"))
    assert re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", index) == [page.name for page in pages]
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {page.name[:4]}: "), page.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Measured"]
