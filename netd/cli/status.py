"""``netd status``: what the daemon holds. Exit: 0 converged, 2 not, 1 no daemon."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from netd.report.status import ask

#: Seconds for the answer: between two portions of a large round the daemon answers, too.
PATIENCE = 10.0

#: Said after Ctrl-C.
INTERRUPTED = "interrupted while waiting for the daemon; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd status``."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--all", action="store_true", help="list the objects that are ok, too")


def run(options: argparse.Namespace) -> int:
    """Prints files, objects that are not ok, repairs."""
    reply = ask(options.state_dir, {"verb": "status"}, timeout=PATIENCE)
    if options.json:
        print(json.dumps(reply, indent=2))
    else:
        for line in lines(reply, options.all):
            print(line)
    return 0 if reply.get("state") == "converged" else 2


def lines(reply: dict[str, Any], everything: bool) -> list[str]:
    """The reply as text."""
    found = [f"{reply['state']}: {reply.get('summary', '')}"]
    for one in reply["files"]:
        found.append(f"  {one['state']:8} {one['path']}")
        found += [f"           {line}" for text in one["errors"] for line in text.splitlines()]
    for one in reply["objects"]:
        if everything or one["state"] != "ok" or one["repairs"] or one["reason"]:
            repaired = ""
            if one["repairs"]:
                last = time.strftime("%F %T", time.localtime(one["last_repair"]))
                repaired = f" (repaired {one['repairs']} times, last {last})"
            reason = f": {one['reason']}" if one["reason"] else ""
            found.append(f"  {one['state']:9} {one['object']}{reason}{repaired}")
    return found
