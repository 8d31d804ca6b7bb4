"""What a trace tells: steps, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from netd.model.key import LinkName

from .packet import Frame

Verdict = Literal["delivered", "lost", "leaves", "unknown"]
StepKind = Literal[
    "source", "rule", "route", "neighbor", "link", "bridge", "vlan", "tunnel", "nat", "filter", "local"
]  # fmt: skip


class Step(NamedTuple):
    """``link``: the name of the link in ``namespace``, "" where none is meant. ``object`` and ``at``: which object of a
    file is behind it, and where that is declared ("/etc/netd/lab.toml:3")."""

    namespace: str
    link: str
    kind: StepKind
    text: str
    object: str = ""
    at: str = ""
    #: Whether a probe was seen there; None: nobody looked.
    seen: bool | None = None

    def document(self) -> dict[str, Any]:
        """As JSON; ``seen`` only where somebody looked."""
        found = self._asdict()
        return found if self.seen is not None else {name: value for name, value in found.items() if name != "seen"}


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a packet: ``reason`` says why it does not arrive. ``arrived``: the link and the frame on it, where a
    host takes it in; ``namespace``: where it was delivered. ``stray``: a flooded copy, at a link that it is not for."""

    steps: tuple[Step, ...]
    verdict: Verdict
    reason: str = ""
    arrived: LinkName | None = None
    frame: Frame | None = None
    namespace: str = ""
    stray: bool = False

    def after(self, steps: Iterable[Step]) -> Way:
        """The same way, after others."""
        return replace(self, steps=(*steps, *self.steps))


def lost(reason: str, *steps: Step) -> Way:
    """A way that ends for a known reason."""
    return Way(steps, "lost", reason)


def unknown(reason: str, *steps: Step) -> Way:
    """A way of which the rest cannot be told."""
    return Way(steps, "unknown", reason)


def leaves(reason: str, *steps: Step) -> Way:
    """A way that goes on elsewhere."""
    return Way(steps, "leaves", reason)


def best(ways: Iterable[Way]) -> Way:
    """Of several copies of a packet, the one that comes farthest."""
    order = {"delivered": 0, "unknown": 1, "leaves": 2, "lost": 3}
    return min(ways, key=lambda way: (order[way.verdict], way.stray, -len(way.steps)))


class Answer(NamedTuple):
    """Both directions; ``back`` is None where the packet does not arrive."""

    forth: Way
    back: Way | None

    def document(self) -> dict[str, Any]:
        """As JSON, CONFIG: {"verdict", "reason", "steps", "back"}."""
        found = _document(self.forth)
        return {"version": 1, **found, "back": _document(self.back) if self.back is not None else None}

    @property
    def status(self) -> int:
        """The exit status: 0 both arrive, 2 one does not, 3 it cannot be told."""
        verdicts = {self.forth.verdict, self.back.verdict if self.back is not None else "lost"}
        if self.forth.verdict == "delivered" and verdicts == {"delivered"}:
            return 0
        first = self.forth if self.forth.verdict != "delivered" or self.back is None else self.back
        return 2 if first.verdict == "lost" else 3


def _document(way: Way) -> dict[str, Any]:
    return {"verdict": way.verdict, "reason": way.reason, "steps": [step.document() for step in way.steps]}
