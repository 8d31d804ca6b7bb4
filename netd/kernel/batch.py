"""Executes a list of operations in one namespace: consecutive rtnetlink operations share one send."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from netd.errors import KernelError, as_kernel_error, kernel_error
from netd.model import operations as do
from netd.model.flows import Translation
from netd.model.key import LinkName
from netd.model.state import Link

from . import etc_files, tun
from .delete_address import delete_alone
from .nft import iptables_legacy as legacy
from .nft import libnftables as nft
from .rtnl import decode
from .rtnl.delete_links import Replies, delete_and_wait
from .rtnl.encode import ENCODERS, encode
from .rtnl.encode_link import delete_link, delete_links, enter_down, set_groups, set_up
from .rtnl.netlink_socket import Rtnl
from .rtnl.wire import RTM_DELLINK, Request
from .session import Answer, Session
from .wireguard import device as wireguard

#: Links in one group deletion: the messages of 200 fit the receive buffer easily.
GROUP_PORTION = 200


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
        position = 0
        try:
            while position < len(operations):
                run = self._deletions_from(position)
                if run:
                    self._send()
                    self._delete(run)
                    position = run[-1] + 1
                    continue
                self._one(position)
                position += 1
            self._send()
        finally:
            self._close_descriptors()
        return self._answers

    def _one(self, position: int) -> None:
        operation = self._operations[position]
        try:
            if type(operation) not in ENCODERS:
                self._send()
                self._answers[position] = self._execute_other(operation)
                return
            if (
                isinstance(operation, do.CreateLink | do.SetLink)
                and operation.kind == tun.KIND
                and operation.settings.info
            ):
                self._send()
                self._answers[position] = self._tun(operation)
                return
            requests = encode(operation, self)
            if isinstance(operation, do.DeleteAddress) and operation.alone:
                self._send()
                index = operation.index or self.index(operation.netns, operation.dev)
                self._answers[position] = delete_alone(self._session, requests[0], index, operation.address)
                return
        except KernelError as error:
            self._answers[position] = error
            return
        self._requests += requests
        self._owners += [position] * len(requests)
        self._note(operation)

    def _note(self, operation: do.Operation) -> None:
        """From here on names mean other indexes."""
        if isinstance(operation, do.CreateLink):
            self._unsent.add((operation.home, operation.name))
            if operation.peer_name:
                self._unsent.add((operation.peer_netns, operation.peer_name))
        elif isinstance(operation, do.SetLink) and operation.settings.name is not None:
            index = self.index(operation.netns, operation.name)
            self._made[operation.netns, operation.settings.name] = index

    def index(self, netns: str, name: str) -> int:
        """The index of a link; one that an unsent operation creates is created first."""
        if (netns, name) in self._unsent:
            self._send()
        found = self._made.get((netns, name)) or self._index_of(netns, name)
        if found <= 0:
            raise kernel_error(errno.ENODEV, f"there is no link {LinkName(netns, name)}")
        return found

    def descriptor(self, netns: str) -> int | None:
        """Open until the next send."""
        if netns == self._session.netns:
            return None
        if netns not in self._descriptors:
            self._descriptors[netns] = self._session.kernel.descriptor(netns)
        return self._descriptors[netns]

    def _execute_other(self, operation: do.Operation) -> Answer:
        """An operation that is not rtnetlink's."""
        if isinstance(operation, do.NamespaceOperation):
            return self._execute_namespace(operation)
        if isinstance(operation, do.WriteSysctl):
            self._session.sysctls.write(operation.path, operation.value)
        elif isinstance(operation, do.WriteFile):
            with as_kernel_error(f"writing {etc_files.DIRECTORY}/{operation.path}"):
                etc_files.write(operation.path, operation.text, new=operation.new)
        elif isinstance(operation, do.DeleteFile):
            with as_kernel_error(f"removing {etc_files.DIRECTORY}/{operation.path}"):
                etc_files.delete(operation.path)
        elif isinstance(operation, do.RunNft):
            text = operation.text
            self._session.inside(lambda: nft.run(text))
        elif isinstance(operation, do.SetWireguard):
            wireguard.write(self.index(operation.netns, operation.dev), operation, self._session.inside)
        elif isinstance(operation, do.DropFlows):
            self._drop_flows(operation.netns, operation.entries)
        elif isinstance(operation, do.LegacyAccept):
            rule = operation
            self._session.inside(lambda: legacy.execute(rule))
        else:
            raise kernel_error(errno.EOPNOTSUPP, type(operation).__name__)
        return None

    def _tun(self, operation: do.CreateLink | do.SetLink) -> Answer:
        """A device that rtnetlink neither creates nor changes; a new one becomes persistent when it is complete."""
        session, netns, name, settings = self._session, operation.netns, operation.name, operation.settings
        if isinstance(operation, do.SetLink):
            link = session.link(self.index(netns, name))
            present = link.info if link is not None else b""
            session.inside(lambda: tun.change(name, present, settings.info))
            return None
        descriptor = session.inside(lambda: tun.create(name, settings.info))
        try:
            link = session.link_named(name)
            self._made[netns, name] = link.index if link is not None else 0
            plain = do.SetLink(netns, name, replace(settings, info={}))
            for error, _ in session.rtnl.request(encode(plain, self)):
                if error is not None:
                    raise error
            tun.set_options(descriptor, settings.info)
            return session.link_named(name)
        finally:
            os.close(descriptor)

    def _send(self) -> None:
        """Sends the pending requests and stores the answers: the first error of an operation counts."""
        requests, owners = self._requests, self._owners
        self._requests, self._owners = [], []
        self._unsent.clear()
        if not requests:
            return
        answers = self._session.rtnl.request(requests)
        self._close_descriptors()
        for request, position, (error, replies) in zip(requests, owners, answers, strict=True):
            operation = self._operations[position]
            # The deletion of what could not be moved: of what was moved it finds nothing.
            if isinstance(self._answers[position], KernelError) or request.kind == RTM_DELLINK:
                continue
            if error is not None:
                self._answers[position] = self._entered_down(operation, explained(operation, error))
            elif isinstance(operation, do.CreateLink) and self._answers[position] is None:
                self._answers[position] = self._made_link(operation, replies)

    def _entered_down(self, operation: do.Operation, error: KernelError) -> KernelError | None:
        """A link that is up was refused by its master: it tries once more, set down. The answer to that."""
        if error.code != errno.EPERM or not isinstance(operation, do.SetLink) or not operation.settings.master:
            return error
        if operation.settings.netns is not None:
            return error
        try:
            index, master = (self.index(operation.netns, each) for each in (operation.name, operation.settings.master))
        except KernelError:
            return error
        (refused, _), (answer, _) = self._session.rtnl.request(enter_down(index, master))
        if answer is not None and refused is None:
            self._session.rtnl.request([set_up(index)])
        return answer

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

    def _deletions_from(self, position: int) -> list[int]:
        """The positions of consecutive link deletions that begin here."""
        run: list[int] = []
        while (
            position < len(self._operations)
            and isinstance(self._operations[position], do.DeleteLink)
            and len(run) < GROUP_PORTION
        ):
            run.append(position)
            position += 1
        return run

    def _delete(self, run: list[int]) -> None:
        """Deletes several through a temporary group, in one send: whenever this process ends, none is left in it."""
        links: dict[int, Link] = {}
        deletions = [operation for at in run if isinstance(operation := self._operations[at], do.DeleteLink)]
        indexes = [operation.index for operation in deletions]
        there = self._session.links_at(set(indexes))
        for position, index in zip(run, indexes, strict=True):
            link = there.pop(index, None)
            if link is None:
                self._answers[position] = kernel_error(errno.ENODEV, f"there is no link with index {index}")
            else:
                links[position] = link
        if len(links) > 1:
            group = random.randrange(1 << 30, 1 << 31)
            requests = delete_links([link.index for link in links.values()], group)
            answers = self._dispose(requests, list(links.values()))
            if answers is None or answers[-1][0] is None:
                return
            # One that cannot be deleted (a physical port) fails the whole group: back to their groups, then one by one.
            self._session.rtnl.atomic(set_groups({link.index: link.group for link in links.values()}))
        for position, link in links.items():
            answers = self._dispose([delete_link(link.index)], [link])
            self._answers[position] = answers[0][0] if answers else None

    def _dispose(self, requests: Sequence[Request], links: Sequence[Link]) -> Replies | None:
        left = [link.index for link in links]

        def gone() -> bool:
            # While the last one is there, the others need no check.
            if self._session.link(left[-1]) is None:
                left[:] = self._session.links_at(set(left))
            return not left

        return delete_and_wait(self._session.inside(Rtnl), requests, gone)


def explained(operation: do.Operation, error: KernelError) -> KernelError:
    """The kernel's answer; one that lacks a module says only that it does not know the word."""
    if isinstance(operation, do.PutQdisc) and error.code == errno.ENOENT:
        return kernel_error(errno.EOPNOTSUPP, f"{operation.kind} needs the kernel's module sch_{operation.kind}")
    if isinstance(operation, do.SetVlans) and error.code == errno.EOPNOTSUPP:
        return kernel_error(error.code, "it is no port of a bridge, or the kernel's bridges have no VLANs")
    return error
