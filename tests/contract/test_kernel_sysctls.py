"""Sysctls of a namespace, and nothing beside them, are read and written."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from netd.errors import KernelError
from netd.kernel.kernel import Kernel
from netd.kernel.sysctl.files import SysctlDirectories
from netd.model.operations import WriteSysctl
from tests.support.kernel_sandbox import done, execute, lonely_kernel, sh

FORWARD = "net/ipv4/ip_forward"


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


def read(kernel: Kernel, netns: str, path: str) -> str | None:
    with kernel.open(netns) as session:
        return session.sysctl(path)


def test_each_namespace_has_its_own_sysctls(kernel: Kernel) -> None:
    sh("ip netns add a; ip netns add b")
    done(kernel, "a", WriteSysctl("a", FORWARD, "1"))
    assert [read(kernel, netns, FORWARD) for netns in ("a", "b", "")] == ["1", "0", "0"]
    assert sh("ip netns exec a sysctl -n net.ipv4.ip_forward").strip() == "1"


def test_the_words_of_a_value_are_joined_by_one_space(kernel: Kernel) -> None:
    done(kernel, "", WriteSysctl("", "net/ipv4/tcp_rmem", "4096 100000   200000"))
    assert read(kernel, "", "net/ipv4/tcp_rmem") == "4096 100000 200000"


def test_a_link_with_a_dot_in_its_name(kernel: Kernel) -> None:
    sh("ip link add eth0.5 type veth peer name v1")
    done(kernel, "", WriteSysctl("", "net/ipv4/conf/eth0.5/rp_filter", "2"))
    assert read(kernel, "", "net/ipv4/conf/eth0.5/rp_filter") == "2"


def test_a_recreated_namespace_is_not_read_through_the_old_one(kernel: Kernel) -> None:
    for value in ("1", "0", "1"):
        sh(f"ip netns add a; ip netns exec a sysctl -qw net.ipv4.ip_forward={value}")
        assert read(kernel, "a", FORWARD) == value
        sh("ip netns del a")


@pytest.mark.parametrize(
    "path",
    [
        "net/ipv4/nothing", "net/nothing/x", "net/ipv4", "net", "", "kernel/ostype", "net/../kernel/ostype",
        "net/ipv4/../../kernel/ostype", "/proc/sys/net/ipv4/ip_forward", "net//ipv4/ip_forward",
        "net/ipv4/./ip_forward", "net/ipv4/ip_forward\0", "net/ipv4/conf/\udcff/forwarding",
    ],
)  # fmt: skip
def test_a_path_outside_of_net_reads_as_absent_and_is_never_written(kernel: Kernel, path: str) -> None:
    assert read(kernel, "", path) is None
    (answer,) = execute(kernel, "", WriteSysctl("", path, "1"))
    assert isinstance(answer, KernelError)


def test_a_value_that_the_kernel_refuses_is_an_error_with_the_key(kernel: Kernel) -> None:
    for value in ("many", "9999999999999999999", "\udcff"):
        (answer,) = execute(kernel, "", WriteSysctl("", "net/ipv4/conf/lo/rp_filter", value))
        assert isinstance(answer, KernelError) and answer.code in (errno.EINVAL, errno.ERANGE)
        assert "net/ipv4/conf/lo/rp_filter" in answer.text


def test_a_key_that_only_the_host_has(kernel: Kernel) -> None:
    sh("ip netns add a")
    assert read(kernel, "a", "net/core/netdev_max_backlog") in (None, read(kernel, "", "net/core/netdev_max_backlog"))


def test_many_namespaces_share_few_descriptors(kernel: Kernel) -> None:
    kernel.directories = SysctlDirectories(limit=4)
    for number in range(9):
        sh(f"ip netns add n{number}")
        done(kernel, f"n{number}", WriteSysctl(f"n{number}", FORWARD, str(number % 2)))
    assert [read(kernel, f"n{number}", FORWARD) for number in range(9)] == [str(n % 2) for n in range(9)]
    assert len(kernel.directories._open) == 4
