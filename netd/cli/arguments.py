"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse
import re

from netd.model.key import LinkName

UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|)")


def duration(text: str) -> float:
    """Seconds: "10s", "500ms", "1.5m", "2h", or a number of seconds."""
    found = DURATION.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration: write it as 500ms, 10s, 5m or 1h")
    return float(found[1]) * UNITS[found[2]]


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return int(text)


def link_name(text: str) -> LinkName:
    """[NAMESPACE:]LINK; the host's links have no namespace, or "host" where no namespace is called so."""
    netns, _, name = text.rpartition(":")
    return LinkName(netns, name)
