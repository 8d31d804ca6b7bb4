"""Runs a test in network and mount namespaces of its own, with an empty /run, in the process of the test."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from netd.kernel.kernel import Kernel
from netd.kernel.session import Answer
from netd.model.invalidation import Invalidation
from netd.model.operations import Operation
from tests.conftest import need_root

CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x200, 0x20000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
LIBC = ctypes.CDLL(None, use_errno=True)
Value = TypeVar("Value")


def check(result: int) -> None:
    """Raises what a libc call failed with."""
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def leave(home: int, flag: int) -> None:
    """Back into a namespace. A mount namespace cannot be changed while another thread shares the working folder."""
    check(LIBC.unshare(CLONE_FS))
    check(LIBC.setns(home, flag))


def back_to(root: int) -> None:
    """Changing the mount namespace leaves a chroot; this takes it up again."""
    os.fchdir(root)
    os.chroot(".")


@contextlib.contextmanager
def lonely_kernel() -> Iterator[Kernel]:
    """The kernel's side in a sandbox."""
    need_root()
    with sandbox():
        kernel = Kernel()
        try:
            yield kernel
        finally:
            kernel.close()


@contextlib.contextmanager
def sandbox() -> Iterator[None]:
    """The calling thread is alone on a machine without a network, and comes back at the end."""
    with contextlib.ExitStack() as stack:
        folder = os.getcwd()
        stack.callback(os.chdir, folder)
        root = os.open("/", os.O_RDONLY)
        stack.callback(os.close, root)
        stack.callback(back_to, root)
        for kind, flag in (("mnt", CLONE_NEWNS), ("net", CLONE_NEWNET)):
            home = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY)
            stack.callback(os.close, home)
            stack.callback(leave, home, flag)
        check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET))
        check(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
        check(LIBC.mount(b"none", b"/run", b"tmpfs", 0, b"mode=755"))
        yield


def sh(command: str) -> str:
    """Runs a shell command there."""
    done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def shown(command: str) -> Any:
    """What iproute2 shows as JSON."""
    return json.loads(sh(command) or "[]")


def eventually(look: Callable[[], Value], what: str) -> Value:
    """The first true value; generous, because machines are slow."""
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.002)
    return found


def execute(kernel: Kernel, netns: str, *operations: Operation) -> list[Answer]:
    """Carries out operations, looking indexes up where the engine would ask its mirror."""

    def index_of(where: str, name: str) -> int:
        with kernel.open(where) as session:
            link = session.link_named(name)
        return link.index if link is not None else 0

    with kernel.open(netns) as session:
        return kernel.execute(session, operations, index_of)


def watch_sysctl(kernel: Kernel, netns: str, key: str) -> None:
    """Watches a key as the mirror does, through the session that reads it."""
    with kernel.open(netns) as session:
        session.watch_sysctl(key)


def done(kernel: Kernel, netns: str, *operations: Operation) -> list[Answer]:
    """As ``execute``; all of them succeed."""
    answers = execute(kernel, netns, *operations)
    assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    return answers


class Heard:
    """What the kernel said since."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.all: list[Invalidation] = []

    def hears(self, *wanted: Invalidation) -> bool:
        """Whether all of these came by now."""
        self.all += self._kernel.drain()
        return set(wanted) <= set(self.all)

    def waits_for(self, *wanted: Invalidation) -> None:
        """Until all of these came."""
        eventually(lambda: self.hears(*wanted), f"{wanted} in {self.all}")

    def forget(self) -> None:
        """Starts anew, with nothing in the queue."""
        while self._kernel.drain():
            pass
        self.all.clear()
