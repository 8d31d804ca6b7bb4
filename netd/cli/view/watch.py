"""One line of ``netd watch`` for a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from netd.report.change_log import DONE
from netd.report.text import value_text

from .rows import safe
from .style import STATE_COLORS, colored

#: The colors of actions.
COLORS = {"create": "green", "update": "yellow", "recreate": "magenta", "delete": "red"}


def event_line(event: Mapping[str, Any], color: bool) -> str:
    """ "20:15:00.123456  repaired   br0: mtu 1280 → 1400, by ip (4711), 3.2 ms"."""
    when = datetime.fromisoformat(event["time"]).astimezone().strftime("%H:%M:%S.%f")
    word, tone = word_of(event)
    return f"{colored(when, 'dim', color)}  {colored(word.ljust(10), tone, color)} {safe(text_of(event))}".rstrip()


def word_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """What happened in one word, and its color."""
    if event["type"] == "lost":
        return "lost", "red"
    if event["type"] != "change":
        return str(event["state"]), STATE_COLORS.get(event["state"], "")
    if event["reason"]:
        return "refused", "red"
    word = "repaired" if event["drift"] else DONE[event["action"]]
    return word, "magenta" if event["drift"] else COLORS[event["action"]]


def text_of(event: Mapping[str, Any]) -> str:
    """The object or file, and what is said of it."""
    kind = event["type"]
    if kind == "lost":
        return str(event["reason"])
    if kind == "state" and not event["object"]:
        return "netd"
    name = event["file"] if kind == "file" else event["object"]
    parts = [str(name)]
    if kind == "change":
        parts += changed(event)
    elif event["reason"]:
        parts.append(f"{event['reason']}")
    return ": ".join([parts[0], ", ".join(parts[1:])]) if parts[1:] else parts[0]


def changed(event: Mapping[str, Any]) -> list[str]:
    """What changed, by whom, and how long it took."""
    found = []
    if event["drift"] and event["action"] != "update":
        found.append(DONE[event["action"]])
    if event["action"] != "delete":
        found += [
            f"{name} {value_text(each['have'])} → {value_text(each['want'])}" for name, each in event["fields"].items()
        ]
    found += [event["reason"]] if event["reason"] else []
    found += [f"by {event['by']}"] if event["by"] else []
    return [*found, f"{event['ms']:g} ms"]
