"""The rules of a hook for one packet, as steps and, where they do not let it on, as the end of its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netd.model.key import LinkName

from .filters.evaluate import Sight, passes
from .filters.model import Translation
from .machine import Machine
from .steps import Step, Way, lost, unknown


class Hooks:
    """What rules changed is in ``packet_mark`` and ``translation`` after each ``run``."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.mark: int | None = None
        self.translation: Translation | None = None
        self.translated_by = ""

    def run(self, netns: str, hook: str, families: Iterable[str], sight: Sight) -> tuple[list[Step], Way | None]:
        """(steps worth telling, the end of the way or None)."""
        self.mark, self.translation = None, None
        machine = self._machine
        sight = replace(sight, fib=lambda address: machine.address_type(netns, address))
        steps: list[Step] = []
        for table, outcome in passes(machine.tables(netns), families, hook, sight):
            self.mark = outcome.mark if outcome.mark is not None else self.mark
            if outcome.verdict == "accept":
                if outcome.translation is not None:
                    self.translation = outcome.translation
                    self.translated_by = machine.rule_text(netns, table, outcome.where)
                continue
            where = machine.rule_text(netns, table, outcome.where)
            at = LinkName(netns, sight.iif or sight.oif)
            if outcome.verdict == "drop":
                reason = f"dropped by {where}"
                return steps, lost(reason, machine.step(at, "filter", f"{hook}: {reason}"))
            reason = f"whether it passes cannot be told: {where}"
            return steps, unknown(reason, machine.step(at, "filter", f"{hook}: {reason}"))
        if netns in machine.unreadable:
            reason = f"the rules of {netns or 'the host'} cannot be read: {machine.unreadable[netns]}"
            return steps, unknown(reason)
        return steps, None

    def run_all(
        self, netns: str, hooks: Iterable[str], families: Iterable[str], sight: Sight
    ) -> tuple[list[Step], Way | None]:
        """Several hooks, one after the other."""
        steps: list[Step] = []
        chosen = tuple(families)
        for hook in hooks:
            more, end = self.run(netns, hook, chosen, sight)
            steps += more
            if end is not None:
                return steps, end
        return steps, None
