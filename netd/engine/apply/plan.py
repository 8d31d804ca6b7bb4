"""Orders changes: what goes first, backwards; then what comes, from the ground up."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence, Set
from typing import NamedTuple

from netd.engine.graph.dependencies import DependencyGraph
from netd.engine.portions import Portions
from netd.engine.record import Record
from netd.errors import KernelError, as_refusal
from netd.kinds import registry
from netd.kinds.base.group_kind import GroupKind
from netd.model.change import Change, Phase, Step
from netd.model.desired import Desired, View
from netd.model.key import Key
from netd.model.operations import DeleteLink, DeleteNamespace, Operation

#: A place in the order: (0 for what goes, 1 for what comes; phase; level).
Place = tuple[int, int, int]


class Task(NamedTuple):
    """One operation on behalf of one or several objects (those that are written at once)."""

    keys: tuple[Key, ...]
    operation: Operation


class Stage(NamedTuple):
    """Operations that do not depend on each other but within one namespace, where they keep their order."""

    place: Place
    tasks: list[Task]


def going(step: Step, level: int) -> Place:
    """Deletions run through the phases backwards."""
    return coming(step, level) if step.phase is Phase.RENUMBERED else (0, -step.phase, -level)


def put_back(step: Step) -> Place:
    """What was found is put back from the ground up, as it would be made: a link that goes down drops neighbours.

    Parameters first, after what goes and before a namespace does: a port leaves it then.
    """
    return (0, -Phase.SYSCTL, step.phase) if step.phase <= Phase.SYSCTL else (1, step.phase, 0)


def coming(step: Step, level: int) -> Place:
    """Creations run forwards; links in the order in which they stand on each other."""
    return (1, step.phase, level if step.phase is Phase.LINK else 0)


class Planner:
    """Turns changes into stages. ``failed``: what a kind could not read that it needed, by the objects it was for."""

    def __init__(
        self,
        graph: DependencyGraph,
        view: View,
        records: Callable[[Key], Record | None],
        in_scope: Callable[[Key], bool],
    ) -> None:
        self._graph = graph
        self._view = view
        self._records = records
        self._in_scope = in_scope
        self._places: dict[Place, list[Task]] = {}
        self.failed: dict[Key, KernelError] = {}

    def plan(self, changes: Sequence[Change], portions: Portions) -> Generator[None, None, list[Stage]]:
        """The stages in the order in which they are to be sent; yields between portions."""
        together: dict[tuple[str, str], list[Key]] = {}
        for change in changes:
            yield from portions.end()
            if isinstance(registry()[change.key.kind], GroupKind):
                together.setdefault((change.key.netns, change.key.kind), []).append(change.key)
                continue
            try:
                self._plan_one(change)
            except Exception as error:
                self.failed[change.key] = as_refusal(error)
        for (netns, kind), keys in together.items():
            yield from portions.end()
            try:
                self._plan_together(netns, kind, keys)
            except Exception as error:
                self.failed.update(dict.fromkeys(keys, as_refusal(error)))
        self._drop_what_goes_anyway(changes)
        return [Stage(place, tasks) for place, tasks in self._merged() if tasks]

    def _plan_together(self, netns: str, kind: str, keys: Sequence[Key]) -> None:
        desired = [one for one in self._graph.batch(netns, kind) if self._stands(one.key)]
        desired += self._left_standing(netns, kind, set(keys))
        group = registry()[kind]
        assert isinstance(group, GroupKind)
        for step in group.write_all(netns, desired, self._view):
            self._put((1, step.phase, 0), Task(tuple(keys), step.operation))

    def _merged(self) -> Iterable[tuple[Place, list[Task]]]:
        """In order. From LINK_SYSCTL on nothing depends on another namespace: that is one stage, sent by namespace."""
        inside: list[Task] = []
        for place, tasks in sorted(self._places.items()):
            if place[0] == 1 and place[1] >= Phase.LINK_SYSCTL:
                inside += tasks
            else:
                yield place, tasks
        yield (1, Phase.LINK_SYSCTL, 0), inside

    def _left_standing(self, netns: str, kind: str, changing: Set[Key]) -> Iterable[Desired]:
        """Of objects that are written at once: what nothing declares here, but is not to go now, as the ledger has it.

        ``netd down PATH`` knows no declarations, and what a changed file no longer declares stays for a moment.
        """
        for key in tuple(self._graph.undeclared_in(netns)):
            record = self._records(key)
            if (key.netns, key.kind) != (netns, kind) or key in changing or record is None:
                continue
            if registry()[kind].observe(key, record.locator, self._view, record.identity) is not None:
                yield Desired(key, {}, (), locator=record.locator)

    def _stands(self, key: Key) -> bool:
        """Of objects that are written at once: what was made before, or is to be made now."""
        return self._in_scope(key) or self._records(key) is not None

    def _put(self, place: Place, task: Task) -> None:
        self._places.setdefault(place, []).append(task)

    def _plan_one(self, change: Change) -> None:
        key, kind, record = change.key, registry()[change.key.kind], self._records(change.key)
        level = self._graph.level(key) or 0
        desired, observed = change.desired, change.observed
        if observed is not None and (change.action in ("delete", "recreate")):
            data = desired.locator if desired else record.locator if record else {}
            for step in kind.delete(key, data, observed, self._view):
                self._put(going(step, level), Task((key,), step.operation))
        if desired is None:
            self._plan_undeclared(change, record)
            return
        steps: Iterable[Step] = ()
        if change.action in ("create", "recreate"):
            steps = kind.create(desired, self._view, record.memory if record else {})
        elif change.action == "update" and observed is not None:
            fields = {name: diff.want for name, diff in change.fields.items()}
            steps = kind.change(key, desired.locator, observed, fields, self._view)
        if kind.traits.provides_links and change.action == "update" and record is not None and record.displaced:
            # Once the link is there, with all that is declared on it: routes of others stand on addresses of netd's.
            steps = [*kind.restore(key, desired.locator, record.displaced, self._view), *steps]
        for step in steps:
            place = (0, -Phase.CLEAR, 0) if step.phase is Phase.CLEAR else coming(step, level)
            self._put(place, Task((key,), step.operation))

    def _plan_undeclared(self, change: Change, record: Record | None) -> None:
        key, kind = change.key, registry()[change.key.kind]
        if change.action == "update" and change.observed is not None and record is not None:
            fields = {name: diff.want for name, diff in change.fields.items()}
            for step in kind.change(key, record.locator, change.observed, fields, self._view):
                self._put(put_back(step), Task((key,), step.operation))
        if record is not None and record.displaced:
            for step in kind.restore(key, record.locator, record.displaced, self._view):
                self._put((1, step.phase, 0), Task((key,), step.operation))

    def _drop_what_goes_anyway(self, changes: Sequence[Change]) -> None:
        """Nothing is taken off a link that is deleted, or out of a namespace that is deleted."""
        operations = [task.operation for tasks in self._places.values() for task in tasks]
        links = {(op.netns, op.index) for op in operations if isinstance(op, DeleteLink)}
        namespaces = {op.netns for op in operations if isinstance(op, DeleteNamespace)}
        if not links and not namespaces:
            return
        going = {change.key: change for change in changes if change.action == "delete"}

        def spare(task: Task) -> bool:
            change = going.get(task.keys[0])
            if change is None or change.observed is None or isinstance(task.operation, DeleteNamespace):
                return False
            if task.operation.netns in namespaces:
                return not (isinstance(task.operation, DeleteLink) and task.operation.elsewhere)
            hangs_on = (change.key.netns, change.observed.identity.get("index", 0))
            return hangs_on in links and not registry()[change.key.kind].traits.provides_links

        for place, tasks in self._places.items():
            if place[0] == 0 or place[1] == Phase.RENUMBERED:
                tasks[:] = [task for task in tasks if not spare(task)]
