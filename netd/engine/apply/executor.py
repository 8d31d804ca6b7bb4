"""Sends a plan in batches, each of one namespace; keeps what was refused and what became stale."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import groupby
from typing import NamedTuple

from netd.engine.observe.mirror import Mirror
from netd.engine.ownership.intents import Intents
from netd.engine.record import Record
from netd.errors import KernelError, Unforeseen, as_refusal, kernel_error
from netd.kernel.session import Answer
from netd.model import operations as ops
from netd.model.effects import Stale
from netd.model.invalidation import Invalidation, WatchKey
from netd.model.key import HOST, Key
from netd.model.state import Link

from .plan import Stage, Task

#: Errors of a deletion when there is nothing left to delete.
GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO})
#: Errors of a restore that is no longer possible, or already done.
UNFIT = frozenset({
    errno.ENODEV, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EINVAL, errno.EEXIST, errno.ENOENT,
})  # fmt: skip
#: Operations between two checks of the clock: a large plan must not stop the loop. (More deletions of links: the kernel
#: waits once for all of them.)
PORTION, DELETED_PORTION = 24, 64


class Batch(NamedTuple):
    """What is sent at a time: tasks of one namespace."""

    netns: str
    tasks: Sequence[Task]
    #: Of many that delete links, with the first batch: all of them.
    all: Sequence[Task] = ()


class Executor:
    """One plan under way. ``failed`` maps objects to the first error, ``skipped`` to the failed one they depend on.

    ``former``: the records of links that are recreated, as they were before.
    """

    def __init__(
        self,
        mirror: Mirror,
        failed_dependency: Callable[[Key, Set[Key]], Key | None],
        intents: Intents,
        former: dict[Key, Record],
    ) -> None:
        self._mirror = mirror
        self._failed_dependency = failed_dependency
        self._intents = intents
        self._former = former
        self.failed: dict[Key, KernelError] = {}
        self.skipped: dict[Key, Key] = {}
        #: Objects on which something foreign could not be restored, or was there already.
        self.unfit: Set[Key] = frozenset()
        self.sent = 0
        self._stale: set[Stale] = set()
        #: What changed, as far as it is known already.
        self.watch_keys: set[WatchKey] = set()
        #: Values that are to be written, by namespace: {object: path}.
        self._sysctls: Mapping[str, Mapping[Key, str]] = {}
        # Namespaces with something in them that had to leave and could not: it would be deleted with them.
        self._held: set[str] = set()
        # Restorations that do not fit, as far as is known.
        self._unfit: list[Task] = []
        # Namespaces in which something was refused: their names are still needed.
        self._refused: set[str] = set()

    def refuse(self, failed: Mapping[Key, KernelError], leaving: Set[Key]) -> None:
        """Objects of which something could not be read: nothing is sent for them, nor for their dependents.

        ``leaving``: those of them that would be deleted with their namespace.
        """
        self.failed |= failed
        self._held.update(key.netns for key in leaving)
        self._refused.update(key.netns for key in failed)
        for key in failed:
            self._intents.refused(key, self._former)

    def batches(self, stages: Sequence[Stage]) -> Sequence[Batch]:
        """What is sent at a time, in order: tasks of one namespace."""
        self._sysctls = sysctls(stages)
        found: list[Batch] = []
        for stage in stages:
            for netns, group in groupby(sorted(stage.tasks, key=_netns), _netns):
                tasks = list(group)
                length = _length(tasks[0].operation)
                found += [Batch(netns, tasks[start : start + length]) for start in range(0, len(tasks), length)]
                if len(tasks) > length == DELETED_PORTION:
                    found[-1 - (len(tasks) - 1) // length] = Batch(netns, tasks[:length], tasks)
        return found

    def prepare(self, batch: Batch) -> Iterator[None]:
        """What makes many deletions of links cheaper; nothing depends on it."""
        tasks = [task for task in batch.all if self._may_send(task)]
        if tasks:
            deletions = [task.operation.index for task in tasks if isinstance(task.operation, ops.DeleteLink)]
            with contextlib.suppress(Exception):
                yield from self._mirror.kernel.prepare_deletions(self._mirror.session(batch.netns), deletions)

    def send(self, batch: Batch) -> None:
        """Sends what is not to be left out, because of what was refused before. An exception concerns this batch."""
        netns, tasks = batch.netns, [task for task in batch.tasks if self._may_send(task)]
        if any(isinstance(task.operation, ops.WriteSysctl) for task in tasks):
            self._read_before(netns, self._sysctls[netns])
            tasks = [task for task in tasks if self._may_send(task)]
        if not tasks:
            return
        self.sent += len(tasks)
        try:
            answers = self._answers(netns, tasks)
        except Exception as error:
            answers = [as_refusal(error)] * len(tasks)
            if isinstance(answers[0], Unforeseen):
                # It is unknown how much of it was carried out.
                self._stale.add(Invalidation("namespace", tasks[0].operation.netns))
        for task, answer in zip(tasks, answers, strict=True):
            self._settle(task, answer)

    def _answers(self, netns: str, tasks: Sequence[Task]) -> Sequence[Answer]:
        """What the kernel says to each."""
        kernel, first = self._mirror.kernel, tasks[0]
        if isinstance(first.operation, ops.NamespaceOperation):
            self._mirror.sessions.close(first.operation.netns)
            return [kernel.execute_namespace(first.operation, partial(self._intents.name_namespace, first.keys[0]))]
        return kernel.execute(self._mirror.session(netns), [task.operation for task in tasks], self._mirror.index)

    def finish(self) -> Set[Stale]:
        """After the last batch; returns what is no longer known, because of what was sent."""
        # What was restored may be what another restoration needs, whichever came first.
        left: Sequence[Task] = ()
        while self._unfit and len(self._unfit) != len(left):
            left, self._unfit = self._unfit, []
            for netns, group in groupby(left, _netns):
                self.send(Batch(netns, list(group)))
        self.unfit = {key for task in self._unfit for key in task.keys}
        if any(watch_key.what == "namespace" for watch_key in self.watch_keys):
            self._stale |= self._mirror.missing()
        return self._stale

    def _may_send(self, task: Task) -> bool:
        key = task.keys[0]
        if isinstance(task.operation, ops.DeleteNamespace) and task.operation.netns in self._held:
            self.failed[key] = kernel_error(errno.EBUSY, "it may still contain a link that has to return to the host")
        if isinstance(task.operation, ops.DetachNamespace) and task.operation.netns in self._refused:
            self.failed[key] = kernel_error(errno.EBUSY, "an object of netd in it could not be removed")
        if key in self.failed or key in self.skipped:
            return False
        culprit = self._failed_dependency(key, self.failed.keys()) if self.failed else None
        if culprit is not None:
            self.skipped[key] = culprit
            self._intents.refused(key, self._former)
            return False
        return True

    def _read_before(self, netns: str, values: Mapping[Key, str]) -> None:
        """Reads values before the first write to one of them: it may change others."""
        try:
            self._intents.read_before_write(values, self._mirror.session(netns))
        except Exception as error:
            self.failed.update(dict.fromkeys(values, as_refusal(error)))
            self._refused.add(netns)

    def _settle(self, task: Task, answer: Answer) -> None:
        operation = task.operation
        try:
            self._invalidate(operation)
            self._learn(operation, answer)
        except Exception:
            # Nothing is known of that namespace then; reading it gives the reason.
            self._stale.add(Invalidation("namespace", operation.netns))
        if isinstance(answer, KernelError):
            if isinstance(operation, ops.Deletion) and answer.code in GONE:
                return
            if isinstance(operation, ops.Restoration) and answer.code in UNFIT and not _still_there(operation, answer):
                self._unfit.append(task)
                return
            if isinstance(operation, ops.SetLink) and operation.settings.netns is not None:
                self._held.add(operation.netns)
            self._refused.update(key.netns for key in task.keys)
            for key in task.keys:
                self.failed.setdefault(key, answer)
            if isinstance(operation, ops.CreateLink):
                self._intents.refused(task.keys[0], self._former)

    def _invalidate(self, op: ops.Operation) -> None:
        """What it makes stale; a namespace at once, because the rest of the plan is sent there."""
        for effect in op.stale:
            for stale in effect(op, self._mirror.index):
                if isinstance(stale, Invalidation) and stale.what == "namespace":
                    self.watch_keys |= self._mirror.invalidate([stale])
                else:
                    self._stale.add(stale)

    def _learn(self, op: ops.Operation, answer: Answer) -> None:
        """What is known at once from the answer: the rest of the plan needs it."""
        if isinstance(op, ops.CreateLink):
            if op.home != op.netns:
                # The kernel does not say its index: what follows in this plan finds it by its name.
                self.watch_keys |= self._mirror.read_named(op.home, op.name)
            if isinstance(answer, Link):
                self._mirror.learn(op.netns, answer)
                if op.peer_name and answer.link:
                    self._mirror.learn(op.peer_netns, Link(answer.link, op.peer_name, op.kind))
                    self._mirror.learn_peer(op.netns, answer.link_netnsid, op.peer_netns)
        elif isinstance(op, ops.SetLink):
            index = self._mirror.index(op.netns, op.name)
            if op.settings.name and index:
                self._mirror.rename(op.netns, index, op.settings.name)
            if op.settings.netns is not None:
                self.watch_keys |= self._mirror.read_named(op.settings.netns, op.name)


def sysctls(stages: Sequence[Stage]) -> Mapping[str, Mapping[Key, str]]:
    """{namespace: {object: path}} of all values that are to be written."""
    found: dict[str, dict[Key, str]] = {}
    for task in (task for stage in stages for task in stage.tasks):
        if isinstance(task.operation, ops.WriteSysctl):
            found.setdefault(task.operation.netns, {})[task.keys[0]] = task.operation.path
    return found


def _still_there(operation: ops.Operation, answer: KernelError) -> bool:
    """Whether what is in the place of a foreign address may still be about to be removed."""
    return isinstance(operation, ops.RestoreAddress) and answer.code == errno.EEXIST


def _length(operation: ops.Operation) -> int:
    """How many tasks of that sort are sent at a time."""
    if isinstance(operation, ops.NamespaceOperation):
        return 1
    return DELETED_PORTION if isinstance(operation, ops.DeleteLink) else PORTION


def _netns(task: Task) -> str:
    return HOST if isinstance(task.operation, ops.NamespaceOperation) else task.operation.netns
