"""What is logged, and how often: one event per change, and a problem once until it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netd.model.change import Change, ChangeResult
from netd.model.fault import Fault
from netd.model.key import Key
from netd.model.status import State, Status

from .structured import BoundLogger
from .text import fields_json, fields_line, state_line

#: How the change of an object to a state is logged.
LEVELS = {State.FAILED: "error", State.CONFLICT: "error", State.CONTENDED: "warning", State.DIVERGED: "warning"}
#: What was done, and its kind in netd.report.messages, if it was not a repair.
DONE = {"create": "created", "update": "changed", "recreate": "recreated", "delete": "removed"}
MESSAGE = {"create": "created", "update": "changed", "recreate": "changed", "delete": "removed"}

#: Line and column of a message about a file.
POSITION = re.compile(r":\d+:\d+(?=: )")


class ChangeLog:
    """Logs changes, states, and errors in the files."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._refused: dict[Key, str] = {}
        self._waiting: set[Key] = set()
        self._unwritten: dict[str, str] = {}
        #: Whether the drift was found by the resync: no event reported it.
        self.resyncing = False
        #: The errors of the files that were logged last.
        self.errors: tuple[str, ...] = ()
        self._warned: frozenset[str] = frozenset()

    def done(self, done: ChangeResult) -> None:
        """A change; a refusal only if it differs from the last one of this object."""
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
                text = f"{key}: the kernel refused to {change.action} it: {done.error}"
                advice = "netd tries again at increasing intervals"
                self._log.error(f"{text}; {advice}", message="refused", error=done.error, **event)
            return
        self._refused.pop(key, None)
        if done.culprit:
            event["culprit"] = done.culprit
        if done.drift and self.resyncing:
            event["found"] = "resync"
        found = ", found by the resync" if "found" in event else ""
        kind = "repaired" if done.drift else MESSAGE[change.action]
        self._log.info(f"{key} {change_text(change, repair=done.drift, found=found)}", message=kind, **event)

    def state(self, status: Status, before: State | None) -> None:
        """A new state, if it is a problem, the end of one, or waiting."""
        key, waits = status.key, status.state is State.PENDING
        news = before in LEVELS or (waits and key not in self._waiting)
        if waits:
            self._waiting.add(key)
        elif status.state is State.OK:
            self._waiting.discard(key)
            self._refused.pop(key, None)
        if status.state is State.FAILED:
            return  # ``done`` has logged the refusal, with its details
        if status.state not in LEVELS and not news:
            return
        level = LEVELS.get(status.state, "info")
        getattr(self._log, level)(
            state_line(status),
            message="recovered" if status.state is State.OK else status.state.value,
            object=str(key), namespace=key.netns, state=status.state.value, reason=status.reason, file=status.file,
        )  # fmt: skip

    def fault(self, fault: Fault, what: str, now: float) -> None:
        """A fault on purpose begins, or is over."""
        text = f"{fault.link}: fault {what}: {fault.words() if 'is' in what else fault.text(now)}"
        self._log.info(text, message="fault", namespace=fault.link.netns, link=fault.link.name, fault=fault.words())

    def file_errors(self, errors: Mapping[str, str]) -> None:
        """Each once, until it is corrected. {text: file}."""
        for text, file in errors.items():
            if text not in self.errors:
                self._log.error(text, message="invalid", file=file)
        self.errors = tuple(errors)

    def warnings(self, warnings: Mapping[str, str]) -> None:
        """Each once, as long as it applies. {text: file}."""
        # The same warning on another line is not a new one.
        known = {text: POSITION.sub("", text.partition("\n")[0]) for text in warnings}
        for text, file in warnings.items():
            if known[text] not in self._warned:
                self._log.warning(text, message="warned", file=file)
        self._warned = frozenset(known.values())

    def summary(self, objects: str) -> str:
        """The summary of the objects, and of the errors in the files: "9 ok; 1 error: lab.toml:2:1: ..."."""
        if not self.errors:
            return objects
        count = "1 error" if len(self.errors) == 1 else f"{len(self.errors)} errors"
        return f"{objects}; {count}: {self.errors[0].splitlines()[0]}"

    def unwritten(self, what: str, trouble: str) -> None:
        """Why ``what`` cannot be written: once, until it can."""
        before = self._unwritten.get(what, "")
        if trouble and trouble != before:
            advice = "free some space, or make it writable: until then a restart may lose it"
            self._log.error(f"{trouble}: {advice}", message="unwritten")
        elif before and not trouble:
            self._log.info(f"the {what} can be written again", message="recovered")
        self._unwritten[what] = trouble


def change_text(change: Change, *, repair: bool, found: str = "") -> str:
    """ "changed: mtu 1500 → 1400", "repaired: recreated, up - → true". ``found``: how a repair came about."""
    action = change.action
    done = "restored" if action == "update" and change.desired is None else DONE[action]
    fields = fields_line(change.fields) if action != "delete" else ""
    if not repair:
        return done + (f": {fields}" if fields else "")
    parts = [] if action == "update" else ["recreated" if action == "create" else done]
    text = ", ".join([*parts, fields] if fields else parts)
    return f"repaired{found}" + (f": {text}" if text else "")
