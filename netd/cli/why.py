"""Why a check does not hold: the way of its packet, as ``netd trace`` follows it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

from netd.config.checks.table import Check
from netd.errors import NetdError
from netd.probes.run import Result, target_of
from netd.trace.machine import Machine
from netd.trace.question import ask, question_of
from netd.trace.steps import Answer

from .look import look

#: Traces of one run, at most: many checks mostly fail for one reason.
MOST = 10
#: Bytes before the data of an echo request.
HEADERS = {False: 28, True: 48}
PROTOCOLS = {"ping": "icmp", "udp": "udp"}


def traces(options: argparse.Namespace, results: Sequence[Result]) -> Mapping[int, Answer]:
    """By the number of a result, the way of its packet: of those that should have succeeded, and did not."""
    wanted = [
        (number, each.check)
        for number, each in enumerate(results)
        if not each.holds and each.check.table.expect == "ok" and target_of(each.check)[0]
    ][:MOST]
    return dict(_followed(options, wanted)) if wanted else {}


def _followed(options: argparse.Namespace, checks: Sequence[tuple[int, Check]]) -> Iterator[tuple[int, Answer]]:
    with look(options) as found:
        machine = Machine(found.mirror, found.topology, found.declaration)
        for number, check in checks:
            host, port = target_of(check)
            shown = f"[{host}]" if ":" in host and port else host
            end = f"{shown}:{port}" if port else host
            size = check.table.size + HEADERS[":" in host]
            try:
                protocol = PROTOCOLS.get(check.table.type, "tcp")
                yield number, ask(machine, question_of(machine, check.netns or "host", end, protocol, size))
            except NetdError:
                continue  # a name that only DNS knows, or a namespace that is not there: the check has said so
