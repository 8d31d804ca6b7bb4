"""Carrying out a list of operations in one namespace: consecutive rtnetlink ones share a send."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Sequence

from netd.errors import KernelError, kernel_error
from netd.model import operations as do
from netd.model.flows import Translation
from netd.model.state import Link

from .delete_address import delete_alone
from .nft import iptables_legacy as legacy
from .nft import libnftables as nft
from .rtnl import decode
from .rtnl.delete_links import Replies, delete_and_wait
from .rtnl.encode import ENCODERS, encode
from .rtnl.encode_link import delete_link, delete_links, set_groups
from .rtnl.netlink_socket import Rtnl
from .rtnl.wire import Request
from .session import Answer, Session

#: Messages of one group deletion: two hundred of them fit the receive buffer easily.
GROUP_PORTION = 200
NAMESPACE_OPERATIONS = (do.CreateNamespace, do.DeleteNamespace, do.AttachNamespace, do.DetachNamespace)


class Batch:
    """One call of ``Kernel.execute``; also the ``LinkLookup`` of the encoder."""

    def __init__(
        self,
        session: Session,
        index_of: Callable[[str, str], int],
        execute_namespace: Callable[[do.Operation], Answer],
        drop_flows: Callable[[str, Sequence[Translation]], None],
    ) -> None:
        self._drop_flows = drop_flows
        self._session = session
        self._execute_namespace = execute_namespace
        self._index_of = index_of
        self._made: dict[tuple[str, str], int] = {}
        self._unsent: set[tuple[str, str]] = set()
        self._descriptors: dict[str, int] = {}
        self._requests: list[Request] = []
        self._owners: list[int] = []
        self._answers: list[Answer] = []
        self._operations: Sequence[do.Operation] = ()

    def run(self, operations: Sequence[do.Operation]) -> list[Answer]:
        """One answer per operation."""
        self._operations = operations
        self._answers = [None] * len(operations)
        place = 0
        try:
            while place < len(operations):
                run = self._deletions_from(place)
                if run:
                    self._send()
                    self._delete(run)
                    place = run[-1] + 1
                    continue
                self._one(place)
                place += 1
            self._send()
        finally:
            self._close_descriptors()
        return self._answers

    def _one(self, place: int) -> None:
        operation = self._operations[place]
        try:
            if type(operation) not in ENCODERS:
                self._send()
                self._answers[place] = self._apart(operation)
                return
            requests = encode(operation, self)
            if isinstance(operation, do.DeleteAddress) and operation.alone:
                self._send()
                index = operation.index or self.index(operation.netns, operation.dev)
                self._answers[place] = delete_alone(self._session, requests[0], index, operation.address)
                return
        except KernelError as error:
            self._answers[place] = error
            return
        self._requests += requests
        self._owners += [place] * len(requests)
        self._note(operation)

    def _note(self, operation: do.Operation) -> None:
        """Which names mean another index from here on."""
        if isinstance(operation, do.CreateLink):
            self._unsent.add((operation.home, operation.name))
            if operation.peer_name:
                self._unsent.add((operation.peer_netns, operation.peer_name))
        elif isinstance(operation, do.SetLink) and operation.settings.name is not None:
            index = self.index(operation.netns, operation.name)
            self._made[operation.netns, operation.settings.name] = index

    def index(self, netns: str, name: str) -> int:
        """The index of a link; one made by an unsent operation is made first."""
        if (netns, name) in self._unsent:
            self._send()
        found = self._made.get((netns, name)) or self._index_of(netns, name)
        if found <= 0:
            raise kernel_error(errno.ENODEV, f"{netns}:{name}" if netns else name)
        return found

    def descriptor(self, netns: str) -> int | None:
        """Open until the next send."""
        if netns == self._session.netns:
            return None
        if netns not in self._descriptors:
            self._descriptors[netns] = self._session.kernel.descriptor(netns)
        return self._descriptors[netns]

    def _apart(self, operation: do.Operation) -> Answer:
        """What is not rtnetlink."""
        if isinstance(operation, NAMESPACE_OPERATIONS):
            return self._execute_namespace(operation)
        if isinstance(operation, do.WriteSysctl):
            self._session.sysctls.write(operation.path, operation.value)
        elif isinstance(operation, do.RunNft):
            text = operation.text
            self._session.inside(lambda: nft.run(text))
        elif isinstance(operation, do.DropFlows):
            self._drop_flows(operation.netns, operation.entries)
        elif isinstance(operation, do.LegacyAccept):
            rule = operation
            self._session.inside(lambda: legacy.execute(rule))
        else:
            raise kernel_error(errno.EOPNOTSUPP, type(operation).__name__)
        return None

    def _send(self) -> None:
        """Sends what has gathered and files the answers: the first error of an operation counts."""
        requests, owners = self._requests, self._owners
        self._requests, self._owners = [], []
        self._unsent.clear()
        if not requests:
            return
        answers = self._session.rtnl.request(requests)
        self._close_descriptors()
        for place, (error, replies) in zip(owners, answers, strict=True):
            operation = self._operations[place]
            if isinstance(self._answers[place], KernelError):
                continue
            if error is not None:
                self._answers[place] = error
            elif isinstance(operation, do.CreateLink) and self._answers[place] is None:
                self._answers[place] = self._made_link(operation, replies)

    def _made_link(self, operation: do.CreateLink, replies: list[bytes]) -> Link | None:
        """The echo; a kernel that sends none is asked. None of a link in another namespace than the one spoken to."""
        link = next((link for reply in replies if (link := decode.link(reply)) is not None), None)
        if operation.home != operation.netns:
            return None
        if link is None:
            link = self._session.link_named(operation.name)
        if link is not None:
            self._made[operation.netns, operation.name] = link.index
            if operation.peer_name:
                self._made[operation.peer_netns, operation.peer_name] = link.link
        return link

    def _close_descriptors(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _deletions_from(self, place: int) -> list[int]:
        """The run of link deletions that begins here."""
        run: list[int] = []
        while (
            place < len(self._operations)
            and isinstance(self._operations[place], do.DeleteLink)
            and len(run) < GROUP_PORTION
        ):
            run.append(place)
            place += 1
        return run

    def _delete(self, run: list[int]) -> None:
        """Several through a one-off group, in one send: whatever ends this process, no link is left in that group."""
        links: dict[int, Link] = {}
        indexes = [operation.index for place in run if isinstance(operation := self._operations[place], do.DeleteLink)]
        there = self._session.links_at(set(indexes))
        for place, index in zip(run, indexes, strict=True):
            link = there.pop(index, None)
            if link is None:
                self._answers[place] = kernel_error(errno.ENODEV, f"no link {index}")
            else:
                links[place] = link
        if len(links) > 1:
            group = random.randrange(1 << 30, 1 << 31)
            requests = delete_links([link.index for link in links.values()], group)
            answers = self._dispose(requests, list(links.values()))
            if answers is None or answers[-1][0] is None:
                return
            # One that cannot be deleted (a physical port) refuses the whole group: each for itself then, as it was.
            self._session.rtnl.atomic(set_groups({link.index: link.group for link in links.values()}))
        for place, link in links.items():
            answers = self._dispose([delete_link(link.index)], [link])
            self._answers[place] = answers[0][0] if answers else None

    def _dispose(self, requests: Sequence[Request], links: Sequence[Link]) -> Replies | None:
        left = [link.index for link in links]

        def gone() -> bool:
            # While the last is there, no other needs to be looked at.
            if self._session.link(left[-1]) is None:
                left[:] = self._session.links_at(set(left))
            return not left

        return delete_and_wait(self._session.inside(Rtnl), requests, gone)
