"""``netd fault``: faults on purpose, which the daemon keeps. Exit: 0 it is so, 1 not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from netd.errors import UsageError
from netd.kinds.base.options import fields_of
from netd.kinds.base.reading import read
from netd.kinds.base.tc_values import span_seconds
from netd.kinds.qdisc import NetemTable
from netd.report.status import ask
from netd.report.text import JSON_VERSION

from .main import add_directory_options, did_you_mean
from .view.rows import Row, Section, show

ACTIONS = {
    "down": "keep a link down",
    "netem": "impair what a link sends: delay=50ms loss=5%%; the keys are those of netem in netd.toml(5)",
    "flap": "keep a link going down and up",
    "clear": "end the faults of these links, or all",
    "list": "show the faults that are kept",
}
#: Said after Ctrl-C.
INTERRUPTED = "interrupted while waiting for the daemon: 'netd fault list' shows what it keeps"
#: Keys of netem whose value is a number.
NUMBERS = ("limit", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd fault``: each action has its own."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, what in ACTIONS.items():
        sub = actions.add_parser(action, help=what, description=f"{what[0].upper()}{what[1:]}.")
        add_directory_options(sub, suppress=True)
        if action == "list":
            sub.add_argument("--json", action="store_true", help="print the faults as JSON")
        elif action == "clear":
            sub.add_argument("links", metavar="LINK", nargs="*", help="[NAMESPACE:]NAME; default: all faults end")
        else:
            sub.add_argument("link", metavar="LINK", help="[NAMESPACE:]NAME of a link that a file declares")
        if action == "netem":
            sub.add_argument(
                "settings", metavar="SETTING", nargs="+", help="KEY=VALUE: delay=50ms, loss=5%%, rate=1mbit, ..."
            )
        if action == "flap":
            sub.add_argument(
                "--down", metavar="DURATION", type=duration, required=True, help="how long it is down (1s)"
            )
            sub.add_argument("--up", metavar="DURATION", type=duration, required=True, help="how long it is up (4s)")
            sub.add_argument(
                "--times", metavar="NUMBER", type=times, default=0, help="so many times; default: without end"
            )
        if action in ("down", "netem", "flap"):
            sub.add_argument(
                "--for",
                metavar="DURATION",
                type=duration,
                dest="lasts",
                help="ends by itself (10s, 5m, 1h); default: never",
            )


def duration(text: str) -> float:
    """A time on the command line, in seconds."""
    try:
        return span_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def times(text: str) -> int:
    """A number of times: one at least."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of times, such as 10")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Asks the daemon, which waits until it is so."""
    reply = ask(options.state_dir, {"verb": "fault", **request_of(options)})
    if options.action == "list":
        print_list(reply["faults"], as_json=options.json)
    elif options.action == "clear":
        for text in reply["cleared"]:
            print(f"cleared: {text}")
        if not reply["cleared"]:
            print("there are no faults")
    else:
        for row in reply["faults"]:
            waits = f" ({row['state']}: {row['reason']})" if row["state"] != "ok" else ""
            print(f"{row['link']}: {row['text']}{waits}")
    return 0


def request_of(options: argparse.Namespace) -> dict[str, Any]:
    """The request, without its verb."""
    if options.action == "list":
        return {"do": "list"}
    if options.action == "clear":
        return {"do": "clear", "links": [link_of(text) for text in options.links]}
    more: dict[str, Any] = {}
    if options.action == "netem":
        more = {"netem": netem_of(options.settings)}
    elif options.action == "flap":
        more = {"down": options.down, "up": options.up, "times": options.times}
    return {"do": "put", "form": options.action, "link": link_of(options.link), "for": options.lasts, **more}


def link_of(text: str) -> list[str]:
    """[namespace, name] of [NAMESPACE:]NAME."""
    netns, _, name = text.rpartition(":")
    if not name:
        raise UsageError(f"'{text}' is not the name of a link: write [NAMESPACE:]NAME")
    return [netns, name]


def netem_of(settings: Sequence[str]) -> Mapping[str, Any]:
    """The table that these are: KEY=VALUE each. UsageError with what is wrong."""
    known = fields_of(NetemTable)
    found: dict[str, Any] = {}
    for each in settings:
        key, equals, value = each.partition("=")
        if not equals or not value:
            raise UsageError(f"'{each}' is not a setting: write KEY=VALUE, such as delay=50ms")
        if key not in known:
            meant = did_you_mean(key, known) or f": the keys are {', '.join(known)}"
            raise UsageError(f"netem has no key '{key}'{meant}")
        found[key] = int(value) if key in NUMBERS and value.isdigit() else value
    table = read(NetemTable, found)
    if isinstance(table, list):
        raise UsageError("; ".join(": ".join([*map(str, each.path), each.text]) for each in table))
    return found


def print_list(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """As JSON, or as a table."""
    if as_json:
        print(json.dumps({"version": JSON_VERSION, "faults": rows}, indent=2))
        return
    heads = ("STATE", "LINK", "FAULT", "REASON")
    found = [Row((each["state"] or "pending", each["link"], each["text"], each["reason"])) for each in rows]
    show(f"{len(rows)} faults" if len(rows) != 1 else "1 fault", [Section(heads, found)])
