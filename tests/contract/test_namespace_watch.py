"""Namespaces that come, go and change are told by name, once they can be used."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from netd.kernel.kernel import Kernel
from netd.model import operations as do
from netd.model.invalidation import Invalidation
from tests.support.kernel_sandbox import Heard, eventually, lonely_kernel, sh, shown


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


@pytest.fixture
def heard(kernel: Kernel) -> Heard:
    kernel.start_watching()
    return Heard(kernel)


def index(name: str, where: str = "") -> int:
    return int(shown(f"ip {where} -j link show dev {name}")[0]["ifindex"])


def test_a_new_namespace_is_usable_when_it_is_reported(kernel: Kernel, heard: Heard) -> None:
    for number in range(20):
        name = f"n{number}"
        with subprocess.Popen(["ip", "netns", "add", name]):
            heard.waits_for(Invalidation("namespace", name))
            assert kernel.cookie(name) is not None
    sh("ip netns del n5")
    heard.waits_for(Invalidation("namespace", "n5"))


def test_a_namespace_that_is_deleted_or_recreated_is_reported(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a")
    kernel.watch("a")
    heard.forget()
    sh("ip netns del a; ip netns add a")
    heard.waits_for(Invalidation("namespace", "a"))
    kernel.watch("a")
    heard.forget()
    sh("ip -n a link set lo mtu 1400")
    heard.waits_for(Invalidation("link", "a", 1))


def test_a_namespace_that_is_only_unmounted_is_reported(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a")
    kernel.watch("a")
    heard.forget()
    with subprocess.Popen(["ip", "netns", "exec", "a", "sleep", "1000"]) as living:
        try:
            wanted = os.stat("/run/netns/a").st_ino
            eventually(lambda: os.stat(f"/proc/{living.pid}/ns/net").st_ino == wanted, "it is inside")
            heard.forget()
            sh("umount /run/netns/a")
            heard.waits_for(Invalidation("namespace", "a"))
        finally:
            living.kill()


def test_namespaces_that_netd_creates_are_not_reported(kernel: Kernel, heard: Heard) -> None:
    assert kernel.execute_namespace(do.CreateNamespace("a")) is None
    cookie = kernel.cookie("a") or 0
    heard.hears()
    assert Invalidation("namespace", "a") not in heard.all
    sh("ip -n a link set lo mtu 1400")
    heard.waits_for(Invalidation("link", "a", 1))
    heard.forget()
    assert kernel.execute_namespace(do.DeleteNamespace("a", cookie)) is None
    sh("ip link set lo mtu 1400")
    heard.waits_for(Invalidation("link", "", 1))
    assert Invalidation("namespace", "a") not in heard.all
    sh("ip netns add a")
    heard.waits_for(Invalidation("namespace", "a"))


def test_an_attached_namespace_is_reported_when_its_path_appears_and_disappears(kernel: Kernel, heard: Heard) -> None:
    kernel.attach("c", "/run/docker/netns/x")
    heard.forget()
    sh("mkdir -p /run/docker/netns; touch /run/docker/netns/x; unshare --net=/run/docker/netns/x true")
    heard.waits_for(Invalidation("namespace", "c"))
    eventually(lambda: kernel.cookie("c") is not None, "it is there")
    kernel.watch("c")
    heard.forget()
    sh("umount /run/docker/netns/x; rm /run/docker/netns/x")
    heard.waits_for(Invalidation("namespace", "c"))
    heard.forget()
    sh("rm -r /run/docker; mkdir -p /run/docker/netns; touch /run/docker/netns/x")
    sh("unshare --net=/run/docker/netns/x true")
    heard.waits_for(Invalidation("namespace", "c"))


def test_the_end_of_the_process_behind_an_attached_name_is_reported(kernel: Kernel, heard: Heard) -> None:
    sh("mkdir -p /run/docker; touch /run/docker/x; unshare --net=/run/docker/x true")
    with subprocess.Popen(["nsenter", "--net=/run/docker/x", "sleep", "1000"]) as living:
        try:
            wanted = os.stat("/run/docker/x").st_ino
            eventually(lambda: os.stat(f"/proc/{living.pid}/ns/net").st_ino == wanted, "it is inside")
            kernel.attach("c", "/run/docker/x")
            assert kernel.execute_namespace(do.AttachNamespace("c")) is None
            kernel.watch("c")
            heard.forget()
        finally:
            living.kill()
    heard.waits_for(Invalidation("namespace", "c"))
