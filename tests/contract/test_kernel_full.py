"""A process that has no descriptor left knows less, and says so: nothing reads as gone, and nothing ends it."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Callable, Iterator

import pytest

from netd.errors import KernelError
from netd.kernel.descriptors import LOW
from netd.kernel.kernel import Kernel
from netd.kernel.nft import libnftables as nft
from tests.support.forks import in_a_process
from tests.support.kernel_sandbox import lonely_kernel, sh

READINGS: dict[str, Callable[[Kernel], object]] = {
    "a namespace": lambda kernel: kernel.cookie("a"),
    "links": lambda kernel: kernel.open("a").__enter__(),
    "the host's links": lambda kernel: kernel.open("").__enter__(),
    "nftables": lambda kernel: kernel.firewall("a"),
    "the host's nftables": lambda kernel: kernel.firewall(""),
    "writing nftables": lambda kernel: nft.run("add table inet some"),
}


@contextlib.contextmanager
def full(limit: int) -> Iterator[None]:
    """No descriptor below ``limit`` is free; without it where the process may have no more than these."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    opened = []
    with contextlib.suppress(OSError):
        while True:
            opened.append(os.open("/", os.O_PATH))
    yield
    for one in opened:
        os.close(one)


def code_of(action: Callable[[], object]) -> int:
    """The errno that it is refused with, 0 where it is not."""
    try:
        action()
    except KernelError as error:
        return error.code
    return 0


@pytest.mark.parametrize("what", READINGS)
def test_a_namespace_is_unknown_and_not_absent_when_descriptors_run_out(what: str) -> None:
    def codes() -> tuple[int, int]:
        with lonely_kernel() as kernel:
            sh("ip netns add a")
            before = code_of(lambda: READINGS[what](kernel))
            with full(200):
                return before, code_of(lambda: READINGS[what](kernel))

    assert in_a_process(codes) == (0, errno.EMFILE)


def test_a_sysctl_is_unknown_and_not_absent_when_descriptors_run_out() -> None:
    def codes() -> tuple[str | None, int]:
        with lonely_kernel() as kernel, kernel.open("") as session:
            value = session.sysctl("net/ipv4/ip_default_ttl")
            with full(200):
                return value, code_of(lambda: session.sysctl("net/ipv4/ip_default_ttl"))

    assert in_a_process(codes) == ("64", errno.EMFILE)


def test_nftables_is_refused_where_the_number_of_its_socket_would_end_the_process() -> None:
    """libmnl waits by select(2), which takes no number from FD_SETSIZE on."""

    def codes() -> tuple[int, int]:
        with lonely_kernel():
            with full(LOW):
                resource.setrlimit(resource.RLIMIT_NOFILE, (LOW + 100, LOW + 100))
                crowded = code_of(lambda: nft.run("add table inet some"))
            return crowded, code_of(lambda: nft.run("add table inet some"))

    assert in_a_process(codes) == (errno.EMFILE, 0)
