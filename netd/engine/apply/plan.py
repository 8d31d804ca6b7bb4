"""Orders changes: removals first, from the top down; then creations, from the ground up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.record import Record
from netd.kinds import registry
from netd.kinds.base.group_kind import GroupKind
from netd.model.change import Change, Phase, Step
from netd.model.desired import Desired, View
from netd.model.key import Key
from netd.model.operations import DeleteLink, DeleteNamespace, Operation

#: The position in the order: (0 for removals, 1 for creations; phase; level).
Position = tuple[int, int, int]


class Task(NamedTuple):
    """One operation on behalf of one or several objects (those that are written at once)."""

    keys: tuple[Key, ...]
    operation: Operation


class Stage(NamedTuple):
    """Operations that do not depend on each other but within one namespace, where they keep their order."""

    position: Position
    tasks: list[Task]


def removal(step: Step, level: int) -> Position:
    """Deletions run through the phases backwards."""
    return creation(step, level) if step.phase is Phase.RENUMBERED else (0, -step.phase, -level)


def put_back(step: Step) -> Position:
    """What netd found is restored in the order of creations: a link that goes down drops neighbors.

    Parameters come first, after removals and before a namespace is deleted: that is when a port leaves it.
    """
    return (0, -Phase.SYSCTL, step.phase) if step.phase <= Phase.SYSCTL else (1, step.phase, 0)


def creation(step: Step, level: int) -> Position:
    """Creations run forwards through the phases; a link comes after those that it requires."""
    return (1, step.phase, level if step.phase is Phase.LINK else 0)


class Group(NamedTuple):
    """Objects of one namespace that are written together."""

    netns: str
    kind: str
    keys: list[Key]


@dataclass(slots=True)
class Plan:
    """Turns changes into stages: they are added one by one, and after them the groups.

    ``in_scope``: those of some objects that this pass may touch.
    """

    graph: DependencyGraph
    view: View
    records: Mapping[Key, Record]
    in_scope: Callable[[Iterable[Key]], Collection[Key]]
    positions: dict[Position, list[Task]] = field(default_factory=dict)
    #: Objects that are written together, by namespace and kind.
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)

    def stages(self, changes: Sequence[Change]) -> list[Stage]:
        """What was added for these changes, in the order in which it is to be sent."""
        self._drop_needless(changes)
        return [Stage(position, tasks) for position, tasks in self._merged() if tasks]

    def add_group(self, group: Group) -> None:
        """Plans objects that are written together."""
        netns, name, kind = group.netns, group.kind, registry()[group.kind]
        assert isinstance(kind, GroupKind)
        declared = self.graph.batch(netns, name)
        chosen = set(self.in_scope([one.key for one in declared]))
        # Those that were created before, or are to be created now.
        desired = [one for one in declared if one.key in chosen or one.key in self.records]
        desired += self._undeclared_kept(netns, name, set(group.keys))
        for step in kind.write_all(netns, desired, self.view):
            self._add((1, step.phase, 0), Task(tuple(group.keys), step.operation))

    def _merged(self) -> Iterable[tuple[Position, list[Task]]]:
        """In order. From LINK_SYSCTL on nothing depends on another namespace: that is one stage, sent by namespace."""
        inside: list[Task] = []
        for position, tasks in sorted(self.positions.items()):
            if position[0] == 1 and position[1] >= Phase.LINK_SYSCTL:
                inside += tasks
            else:
                yield position, tasks
        yield (1, Phase.LINK_SYSCTL, 0), inside

    def _undeclared_kept(self, netns: str, kind: str, changing: Set[Key]) -> Iterable[Desired]:
        """Of objects that are written at once: undeclared ones that are not removed in this pass, from the ledger.

        ``netd down PATH`` knows no declarations, and what a changed file no longer declares stays for a moment.
        """
        for key in tuple(self.graph.undeclared_in(netns)):
            record = self.records.get(key)
            if (key.netns, key.kind) != (netns, kind) or key in changing or record is None:
                continue
            if registry()[kind].observe(key, record.locator, self.view, record.identity) is not None:
                yield Desired(key, {}, (), locator=record.locator)

    def _add(self, position: Position, task: Task) -> None:
        self.positions.setdefault(position, []).append(task)

    def add(self, change: Change) -> None:
        """Plans one change; one of a group is planned with the group."""
        key, kind, record = change.key, registry()[change.key.kind], self.records.get(change.key)
        if isinstance(kind, GroupKind):
            self.groups.setdefault((key.netns, key.kind), Group(key.netns, key.kind, [])).keys.append(key)
            return
        level = (self.graph.level(key) or 0) if kind.traits.provides_links else 0
        desired, observed = change.desired, change.observed
        if observed is not None and (change.action in ("delete", "recreate")):
            data = desired.locator if desired else record.locator if record else {}
            for step in kind.delete(key, data, observed, self.view):
                self._add(removal(step, level), Task((key,), step.operation))
        if desired is None:
            self._plan_undeclared(change, record)
            return
        steps: Iterable[Step] = ()
        if change.action in ("create", "recreate"):
            steps = kind.create(desired, self.view, record.memory if record else {})
        elif change.action == "update" and observed is not None:
            fields = {name: diff.want for name, diff in change.fields.items()}
            steps = kind.change(key, desired.locator, observed, fields, self.view)
        if kind.traits.provides_links and change.action == "update" and record is not None and record.displaced:
            # Once the link is there, with all that is declared on it: foreign routes need addresses of netd's.
            steps = [*kind.restore(key, desired.locator, record.displaced, self.view), *steps]
        for step in steps:
            position = (0, -Phase.CLEAR, 0) if step.phase is Phase.CLEAR else creation(step, level)
            self._add(position, Task((key,), step.operation))

    def _plan_undeclared(self, change: Change, record: Record | None) -> None:
        key, kind = change.key, registry()[change.key.kind]
        if change.action == "update" and change.observed is not None and record is not None:
            fields = {name: diff.want for name, diff in change.fields.items()}
            for step in kind.change(key, record.locator, change.observed, fields, self.view):
                self._add(put_back(step), Task((key,), step.operation))
        if record is not None and record.displaced:
            for step in kind.restore(key, record.locator, record.displaced, self.view):
                self._add((1, step.phase, 0), Task((key,), step.operation))

    def _drop_needless(self, changes: Sequence[Change]) -> None:
        """Nothing is taken off a link that is deleted, or out of a namespace that is deleted."""
        operations = [task.operation for tasks in self.positions.values() for task in tasks]
        links = {(op.netns, op.index) for op in operations if isinstance(op, DeleteLink)}
        namespaces = {op.netns for op in operations if isinstance(op, DeleteNamespace)}
        if not links and not namespaces:
            return
        removed = {change.key: change for change in changes if change.action == "delete"}

        def spare(task: Task) -> bool:
            change = removed.get(task.keys[0])
            if change is None or change.observed is None or isinstance(task.operation, DeleteNamespace):
                return False
            if task.operation.netns in namespaces:
                return not (isinstance(task.operation, DeleteLink) and task.operation.elsewhere)
            link = (change.key.netns, change.observed.identity.get("index", 0))
            return link in links and not registry()[change.key.kind].traits.provides_links

        for position, tasks in self.positions.items():
            if position[0] == 0 or position[1] == Phase.RENUMBERED:
                tasks[:] = [task for task in tasks if not spare(task)]
