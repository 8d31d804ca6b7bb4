"""What goes to the log, and how often: one event per change, the rest once until it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from structlog.stdlib import BoundLogger

from netd.engine.engine import Done
from netd.model.key import Key
from netd.model.status import State, Status

from .text import fields_json, fields_line

#: How a state is logged, when an object comes into it.
LOUD = {State.FAILED: "error", State.CONFLICT: "error", State.CONTENDED: "warning", State.DIVERGED: "warning"}
PAST = {"create": "made", "update": "changed", "recreate": "made again", "delete": "deleted"}
#: What nftables says who changed it.
KNOWN_CULPRITS = frozenset({"nat", "forward"})


class Teller:
    """``culprit`` names who changed a namespace's rules last, "" where nobody knows."""

    def __init__(self, log: BoundLogger, culprit: Callable[[str], str]) -> None:
        self._log = log
        self._culprit = culprit
        self._refused: dict[Key, str] = {}
        self._waiting: set[Key] = set()
        self._unwritten: dict[str, str] = {}
        #: The mistakes of the files, as they were told last.
        self.told: tuple[str, ...] = ()

    def done(self, done: Done) -> None:
        """A change; a refusal only where it is another than the last one of this object."""
        key, change = done.change.key, done.change
        event = {
            "object": str(key),
            "action": change.action,
            "namespace": key.netns,
            "file": change.file,
            "round": done.round,
            "ms": round(done.seconds * 1000, 2),
            "diff": fields_json(change.fields),
            "drift": done.drift,
        }
        if done.error:
            if self._refused.get(key) != done.error:
                self._refused[key] = done.error
                text = f"{key}: {change.action} refused: {done.error}: netd tries again, less and less often"
                self._log.error(text, error=done.error, **event)
            return
        self._refused.pop(key, None)
        if done.drift and key.kind in KNOWN_CULPRITS and (culprit := self._culprit(key.netns)):
            event["culprit"] = culprit
        verb = f"repaired ({PAST[change.action]})" if done.drift else PAST[change.action]
        fields = fields_line(change.fields) if change.action != "delete" else ""
        self._log.info(f"{key} {verb}" + (f": {fields}" if fields else ""), **event)

    def state(self, status: Status, before: State | None) -> None:
        """A new state, where it is trouble, the end of trouble, or waiting."""
        key, waits = status.key, status.state is State.PENDING
        news = before in LOUD or (waits and key not in self._waiting)
        if waits:
            self._waiting.add(key)
        elif status.state is State.OK:
            self._waiting.discard(key)
            self._refused.pop(key, None)
        if status.state is State.FAILED:
            return  # ``done`` has said so, with all there is to say
        if status.state not in LOUD and not news:
            return
        level = LOUD.get(status.state, "info")
        told = f": {status.reason}" if status.reason else ""
        getattr(self._log, level)(
            f"{key} is {status.state.value}{told}",
            object=str(key), namespace=key.netns, state=status.state.value, file=status.file,
        )  # fmt: skip

    def mistakes(self, mistakes: Sequence[str]) -> None:
        """Each once, until it is mended."""
        for text in mistakes:
            if text not in self.told:
                self._log.error(text)
        self.told = tuple(mistakes)

    def unwritten(self, what: str, trouble: str) -> None:
        """Why ``what`` cannot be written: once, until it can."""
        before = self._unwritten.get(what, "")
        if trouble and trouble != before:
            self._log.error(f"{trouble}: make room, or make it writable: until then a restart may forget it")
        elif before and not trouble:
            self._log.info(f"the {what} can be written again")
        self._unwritten[what] = trouble
