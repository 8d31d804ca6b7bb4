"""``netd trace``: the way of a packet and of its answer. Exit: 0 both arrive, 2 not, 3 cannot tell, 1 error."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

from netd.kernel.kernel import Kernel
from netd.model.key import LinkName
from netd.trace.machine import Machine
from netd.trace.question import Question, ask, question_of
from netd.trace.steps import Answer, Step, Way

from .look import look
from .main import need_root
from .view.style import has_color
from .view.way import answer_lines

#: Bytes of what ping sends.
PING = 84
#: Said after Ctrl-C.
INTERRUPTED = "interrupted before the end of the way; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd trace``."""
    parser.add_argument("begin", metavar="FROM", help="a namespace ('host' is the host), or an address of one")
    parser.add_argument("end", metavar="TO", help="an address or a namespace, with :PORT for tcp and udp")
    parser.add_argument(
        "--protocol", choices=("icmp", "tcp", "udp"), default="icmp", help="default: icmp, tcp with PORT"
    )
    parser.add_argument(
        "--size",
        metavar="NUMBER",
        type=int,
        default=PING,
        help="bytes of the IP packet (default: 84, as ping sends it)",
    )
    parser.add_argument(
        "--live", action="store_true", help="also send one such packet, and say on which links of the way it was seen"
    )
    parser.add_argument("--json", action="store_true", help="print the steps as JSON")


def run(options: argparse.Namespace) -> int:
    """Prints the way, and the way back."""
    need_root("trace")
    question, answer = followed(options, options.begin, options.end, options.protocol, options.size)
    if options.live:
        answer = looked_at(answer, Kernel(), question)
    if options.json:
        print(json.dumps(answer.document(), indent=2))
    else:
        for line in answer_lines(answer, has_color(sys.stdout)):
            print(line)
    return answer.status


def followed(
    options: argparse.Namespace, begin: str, end: str, protocol: str = "icmp", size: int = PING
) -> tuple[Question, Answer]:
    """The way of a packet, and of its answer. UsageError for names that are not there."""
    with look(options) as found:
        machine = Machine(found.mirror, found.topology, found.declaration)
        question = question_of(machine, begin, end, protocol, size)
        return question, ask(machine, question)


def looked_at(answer: Answer, kernel: Kernel, question: Question) -> Answer:
    """With what a probe shows: each step at a link was seen, or not."""
    from netd.trace.live import Seen, links_of, probe

    ways = [way for way in answer if way is not None]
    seen = probe(kernel, question, links_of(step for way in ways for step in way.steps))

    def marked(way: Way | None, back: bool) -> Way | None:
        if way is None:
            return None
        steps = tuple(
            step._replace(seen=Seen(LinkName(step.namespace, step.link), back) in seen) if can_be_seen(step) else step
            for step in way.steps
        )
        return replace(way, steps=steps)

    forth = marked(answer.forth, False)
    assert forth is not None
    return Answer(forth, marked(answer.back, True))


def can_be_seen(step: Step) -> bool:
    """Whether the packet passes the link of a step: what a bridge forwards is on its ports only."""
    return bool(step.link) and step.kind not in ("bridge", "filter", "vlan")
