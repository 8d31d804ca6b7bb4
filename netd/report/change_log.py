"""What goes to the log, and how often: one event per change, the rest once until it is over."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netd.model.change import ChangeResult
from netd.model.key import Key
from netd.model.status import State, Status

from .structured import BoundLogger
from .text import fields_json, fields_line, state_line

#: How a state is logged, when an object comes into it.
LOUD = {State.FAILED: "error", State.CONFLICT: "error", State.CONTENDED: "warning", State.DIVERGED: "warning"}
#: What happened, in netd.report.messages, where it was no repair.
MESSAGE = {"create": "made", "update": "changed", "recreate": "changed", "delete": "deleted"}
PAST = {"create": "made", "update": "changed", "recreate": "made again", "delete": "deleted"}

#: Line and column of a message about a file.
PLACE = re.compile(r":\d+:\d+(?=: )")


class ChangeLog:
    """Logs changes, states, and what is wrong with the files."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._refused: dict[Key, str] = {}
        self._waiting: set[Key] = set()
        self._unwritten: dict[str, str] = {}
        #: Whether what is repaired was found by the full pass: no event told of it.
        self.passing = False
        #: The mistakes of the files, as they were told last.
        self.told: tuple[str, ...] = ()
        self._warned: frozenset[str] = frozenset()

    def done(self, done: ChangeResult) -> None:
        """A change; a refusal only where it is another than the last one of this object."""
        key, change = done.change.key, done.change
        event = {
            "object": str(key),
            "action": change.action,
            "namespace": key.netns,
            "file": change.file,
            "round": done.pass_number,
            "ms": round(done.seconds * 1000, 2),
            "diff": fields_json(change.fields),
            "drift": done.drift,
        }
        if done.error:
            if self._refused.get(key) != done.error:
                self._refused[key] = done.error
                text = f"{key}: {change.action} refused: {done.error}: netd tries again, less and less often"
                self._log.error(text, message="refused", error=done.error, **event)
            return
        self._refused.pop(key, None)
        if done.culprit:
            event["culprit"] = done.culprit
        verb = f"repaired ({PAST[change.action]})" if done.drift else PAST[change.action]
        if done.drift and self.passing:
            event["found"] = "full pass"
            verb += ", found by the full pass"
        fields = fields_line(change.fields) if change.action != "delete" else ""
        kind = "repaired" if done.drift else MESSAGE[change.action]
        self._log.info(f"{key} {verb}" + (f": {fields}" if fields else ""), message=kind, **event)

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
        getattr(self._log, level)(
            state_line(status),
            message="recovered" if status.state is State.OK else status.state.value,
            object=str(key), namespace=key.netns, state=status.state.value, reason=status.reason, file=status.file,
        )  # fmt: skip

    def mistakes(self, mistakes: Mapping[str, str]) -> None:
        """Each once, until it is mended. {text: file}."""
        for text, file in mistakes.items():
            if text not in self.told:
                self._log.error(text, message="mistake", file=file)
        self.told = tuple(mistakes)

    def warnings(self, warnings: Mapping[str, str]) -> None:
        """Each once, as long as there is reason for it. {text: file}."""
        # The same warning on another line is no news.
        known = {text: PLACE.sub("", text.partition("\n")[0]) for text in warnings}
        for text, file in warnings.items():
            if known[text] not in self._warned:
                self._log.warning(text, message="warned", file=file)
        self._warned = frozenset(known.values())

    def summary(self, objects: str) -> str:
        """What is said of the objects, and of the mistakes in the files: "9 ok; 1 mistake: lab.toml:2:1: ..."."""
        if not self.told:
            return objects
        count = "1 mistake" if len(self.told) == 1 else f"{len(self.told)} mistakes"
        return f"{objects}; {count}: {self.told[0].splitlines()[0]}"

    def unwritten(self, what: str, trouble: str) -> None:
        """Why ``what`` cannot be written: once, until it can."""
        before = self._unwritten.get(what, "")
        if trouble and trouble != before:
            advice = "make room, or make it writable: until then a restart may forget it"
            self._log.error(f"{trouble}: {advice}", message="unwritten")
        elif before and not trouble:
            self._log.info(f"the {what} can be written again", message="recovered")
        self._unwritten[what] = trouble
