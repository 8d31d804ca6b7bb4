"""A kernel, real or fake, under a hand that refuses operations, and ends the process between two of them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from unittest import mock

from netd.engine.ledger import Ledger
from netd.errors import KernelError
from netd.kernel.kernel import Kernel
from netd.kernel.session import Answer, Session
from netd.model.firewall import Firewall
from netd.model.invalidation import Invalidation
from netd.model.operations import Operation

#: What a session reads from rtnetlink.
READINGS = frozenset({
    "links", "link", "link_named", "addresses", "connected", "routes", "routes_to", "routes_of",
    "rules", "neighbors", "fdb", "qdiscs", "vlans", "vnis", "nsid",
})  # fmt: skip

#: What tells nothing of what was to be read.
UNREADABLE = (errno.EBUSY, errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.EAGAIN)


class Hand:
    """What is done to each operation. ``before``: an error instead of it; ``step``: called after each thing done.

    ``after`` is told what the kernel said to it. ``reading``: an error instead of what is read ("links", "routes").
    """

    def __init__(
        self,
        before: Callable[[Operation], KernelError | None] = lambda operation: None,
        step: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.before = before
        self.step = step
        self.reading: Callable[[str], KernelError | None] = lambda what: None
        self.after: Callable[[Operation, Answer], None] = lambda operation, answer: None
        #: In which order events come.
        self.order: Callable[[list[Invalidation]], list[Invalidation]] = list

    def read(self, what: str) -> None:
        """KernelError, if it may not be read now."""
        error = self.reading(what)
        if error is not None:
            raise error


class TroubledKernel:
    """Passes everything on but operations and what is read: operations go one by one, through the hand."""

    def __init__(self, kernel: Kernel, hand: Hand) -> None:
        self._kernel = kernel
        self._hand = hand

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)

    def firewall(self, netns: str) -> Firewall:
        self._hand.read("firewall")
        return self._kernel.firewall(netns)

    @contextlib.contextmanager
    def open(self, netns: str) -> Iterator[TroubledSession]:
        with self._kernel.open(netns) as session:
            yield TroubledSession(session, self._hand)

    def drain(self) -> list[Invalidation]:
        return self._hand.order(self._kernel.drain())

    def execute(
        self, session: TroubledSession, operations: Sequence[Operation], index_of: Callable[[str, str], int]
    ) -> list[Answer]:
        """One at a time: what an earlier one made is looked up in the kernel."""
        answers: list[Answer] = []
        for operation in operations:
            error = self._hand.before(operation)
            answers += [error] if error is not None else self._kernel.execute(session.real, [operation], self._index)
            self._hand.after(operation, answers[-1])
            self._hand.step(type(operation).__name__)
        return answers

    def _index(self, netns: str, name: str) -> int:
        with self._kernel.open(netns) as session:
            link = session.link_named(name)
        return link.index if link is not None else 0

    def execute_namespace(self, operation: Operation, *more: Any, **others: Any) -> Answer:
        error = self._hand.before(operation)
        answer = error if error is not None else self._kernel.execute_namespace(operation, *more, **others)
        self._hand.after(operation, answer)
        self._hand.step(type(operation).__name__)
        return answer


class TroubledSession:
    """One namespace of it."""

    def __init__(self, session: Session, hand: Hand) -> None:
        self.real = session
        self._hand = hand

    def __getattr__(self, name: str) -> Any:
        if name in READINGS:
            self._hand.read(name)
        return getattr(self.real, name)


class TroubledLedger(Ledger):
    """Each writing of the file is a step, too. ``compacts``: it is written anew each time."""

    def __init__(self, path: str, hand: Hand, *, compacts: bool = False) -> None:
        super().__init__(path)
        self._hand = hand
        self._compacts = compacts

    def _append(self, lines: Iterable[str]) -> None:
        if self._compacts:
            self._compact()
        else:
            super()._append(lines)

    def _compact(self) -> None:
        def stepping(fresh: str, path: str) -> None:
            self._hand.step("a new ledger beside")
            rename(fresh, path)

        rename = os.replace
        with mock.patch("os.replace", stepping):
            super()._compact()

    def flush(self) -> None:
        lines = len(self._lines)
        super().flush()
        if lines:
            self._hand.step("ledger")
