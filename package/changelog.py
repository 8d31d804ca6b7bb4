"""Writes the package's changelog, in Debian's form, from CHANGELOG.md: ``python package/changelog.py``.

deb-changelog(5) wants a date for each version: an unreleased one has that of the build, SOURCE_DATE_EPOCH if it is set.
"""

from __future__ import annotations

import os
import re
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
VERSION = re.compile(r"^## \[(?P<version>[\w.+~]+)\] - (?P<date>unreleased|\d{4}-\d\d-\d\d)$", re.MULTILINE)
MAINTAINER = re.compile(r"^Maintainer: (.+)$", re.MULTILINE)
#: Columns.
WIDTH = 80


def maintainer() -> str:
    """As the package's control file has it."""
    found = MAINTAINER.search((TOP / "package" / "debian" / "control").read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def entry(version: str, date: str, text: str) -> Iterator[str]:
    """One version: its groups in brackets, its points with stars."""
    released = date != "unreleased"
    yield f"netd ({version}) {'stable' if released else 'UNRELEASED'}; urgency=medium"
    for line in re.sub(r"\n +", " ", text).splitlines():
        if line.startswith("### "):
            yield from ("", f"  [ {line[4:]} ]")
        elif line.startswith("- "):
            point = re.sub(r"\*\*|`", "", line[2:])
            yield from textwrap.wrap(
                point, WIDTH, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False
            )
    now = datetime.fromtimestamp(float(os.environ.get("SOURCE_DATE_EPOCH", time.time())), UTC)
    when = datetime.fromisoformat(date).replace(tzinfo=UTC) if released else now
    yield from ("", f" -- {maintainer()}  {format_datetime(when)}", "")


def document() -> Iterator[str]:
    """All versions, newest first."""
    text = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    found = list(VERSION.finditer(text))
    for this, following in zip(found, [*found[1:], None], strict=True):
        yield from entry(this["version"], this["date"], text[this.end() : following.start() if following else None])


if __name__ == "__main__":
    print("\n".join(document()))
