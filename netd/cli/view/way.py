"""A trace as lines: one for each step, the way back indented by its head."""

from __future__ import annotations

from collections.abc import Iterator

from netd.report.terminal import one_line
from netd.trace.steps import Answer, Step, Way

from .style import colored

#: Ends of a way: in which words, and in which color.
ENDS = {
    "delivered": ("arrives", "green"),
    "lost": ("is lost", "red"),
    "leaves": ("leaves this machine", "yellow"),
    "unknown": ("cannot be told", "yellow"),
}


def answer_lines(answer: Answer, color: bool) -> Iterator[str]:
    """Both directions."""
    yield from way_lines("the packet", answer.forth, color)
    if answer.back is not None:
        yield ""
        yield from way_lines("the answer", answer.back, color)


def way_lines(what: str, way: Way, color: bool) -> Iterator[str]:
    """One direction: its steps, then how it ends."""
    width = max((len(place(step)) for step in way.steps), default=0)
    for number, step in enumerate(way.steps, 1):
        about = f"  ({step.object}, {step.at})" if step.at else ""
        seen = "" if step.seen is None else "seen      " if step.seen else "not seen  "
        yield one_line(f"{number:3}  {place(step):{width}}  {step.kind:8}  {seen}{step.text}{about}")
    word, shade = ENDS[way.verdict]
    reason = f": {way.reason}" if way.reason else ""
    yield colored(one_line(f"{what} {word}{reason}"), shade, color)


def place(step: Step) -> str:
    """NAMESPACE:LINK, or what of it is known."""
    if not step.link:
        return step.namespace or "host"
    return f"{step.namespace}:{step.link}" if step.namespace else step.link
