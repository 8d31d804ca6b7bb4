"""``netd show``: all about one thing, declared beside actual. Exit: 0, 1 where nothing has that name."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Collection
from typing import Any

from netd.errors import NetdError, UsageError
from netd.model.desired import Origin
from netd.model.key import Key
from netd.report.status import ask
from netd.topology.link_reader import KernelLinkReader
from netd.topology.places import Places
from netd.topology.show import Details, History

from .look import PATIENCE, look
from .view.show import show_lines
from .view.style import has_color

#: Objects of which one request asks.
MOST_NAMES = 500
#: Said after Ctrl-C.
INTERRUPTED = "interrupted before everything was read; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd show``."""
    parser.add_argument("name", metavar="NAME", help="an object, a link ([NAMESPACE:]LINK), a namespace, or a file")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(options: argparse.Namespace) -> int:
    """Prints the document: of the kernel for root, for others as the daemon knows it."""
    document = document_of(options, options.name)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        for line in show_lines(document, has_color(sys.stdout)):
            print(line)
    return 0


def document_of(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """All about one thing; UsageError where there is none of that name."""
    document = details(options, name) if os.geteuid() == 0 else asked(options, name)
    return document | {"at": place(document)}


def details(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """The document, from the kernel and the files; the last changes from the daemon, where one runs."""
    with look(options) as found:
        reader = KernelLinkReader(found.mirror)
        known = Details(found.topology, found.declaration, reader, history(options))
        document = known.of(name)
        if document is None:
            raise UsageError(unknown(name, known.names()))
    return document


def asked(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """The document, from the daemon."""
    reply = ask(options.state_dir, {"verb": "show", "name": name}, timeout=PATIENCE)
    if reply.get("document") is None:
        raise UsageError(unknown(name, reply.get("names", [])))
    document: dict[str, Any] = reply["document"]
    return document


def history(options: argparse.Namespace) -> History:
    """Asks the daemon for the last changes; there are none where it does not run."""

    def changes(keys: Collection[Key], most: int) -> list[dict[str, Any]]:
        names = [str(key) for key in keys][:MOST_NAMES]
        try:
            reply = ask(options.state_dir, {"verb": "history", "objects": names, "most": most}, timeout=PATIENCE)
        except NetdError:
            return []
        found: list[dict[str, Any]] = reply["changes"]
        return found

    return changes


def unknown(name: str, known: list[str]) -> str:
    """That nothing has this name, and which one may have been meant."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    advice = f": did you mean '{close[0]}'?" if close else ": 'netd graph' shows them all"
    return f"there is no link, namespace, object or file called '{name}'{advice}"


def place(document: dict[str, Any]) -> str | None:
    """FILE:LINE of its declaration."""
    if not document["file"]:
        return None
    return Places().text(Origin(document["file"], tuple(document["path"])))
