"""Namespaces are made, found, attached and taken away as ``ip netns`` would expect."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netd.errors import Changed, KernelError, Refused
from netd.kernel.kernel import Kernel
from netd.kernel.netns import setns as netns
from netd.kernel.netns.named import STALE_AGE
from netd.model.operations import AttachNamespace, CreateNamespace, DeleteNamespace, DetachNamespace, Operation
from tests.support.kernel_sandbox import eventually, lonely_kernel, sh, shown, watch_sysctl

NAMES = Path("/run/netns")


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


def succeed(kernel: Kernel, operation: Operation) -> None:
    assert kernel.execute_namespace(operation) is None


def attach(kernel: Kernel, netns: str, source: str) -> None:
    kernel.attach(netns, source)
    succeed(kernel, AttachNamespace(netns))


@pytest.fixture
def inside() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that live in namespaces, ended with the test."""
    living: list[subprocess.Popen[bytes]] = []
    yield living
    for process in living:
        process.kill()
        process.wait()


def live_in(path: str, living: list[subprocess.Popen[bytes]]) -> int:
    """A process in the namespace at ``path``."""
    living.append(subprocess.Popen(["nsenter", f"--net={path}", "sleep", "1000"]))
    pid = living[-1].pid
    wanted = os.stat(path).st_ino
    eventually(lambda: os.stat(f"/proc/{pid}/ns/net").st_ino == wanted, "the process is inside")
    return pid


def foreign_namespace(path: str) -> None:
    """A namespace at a place of someone else's."""
    sh(f"mkdir -p {os.path.dirname(path)}; touch {path}; unshare --net={path} true")


def identity(path: str | Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def test_a_namespace_is_created_as_ip_netns_creates_it(kernel: Kernel) -> None:
    succeed(kernel, CreateNamespace("a"))
    assert [one["name"] for one in shown("ip -j netns")] == ["a"]
    assert "UP" in shown("ip -n a -j link show lo")[0]["flags"]
    assert sh("ip netns exec a sysctl -n net.ipv6.conf.all.disable_ipv6").strip() == "0"
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    assert any(fields[4] == "/run/netns" and "shared:" in " ".join(fields[6:8]) for fields in mounts)
    sh("ip netns del a")
    assert kernel.cookie("a") is None


def test_a_namespace_without_ipv6_has_none_on_any_link(kernel: Kernel) -> None:
    succeed(kernel, CreateNamespace("a", ipv6=False))
    sh("ip -n a link add v0 type veth peer name v1; ip -n a link set v0 up")
    assert "inet6" not in sh("ip -n a address")


def test_the_process_stays_in_its_own_namespace(kernel: Kernel) -> None:
    before = identity(netns.OWN)
    succeed(kernel, CreateNamespace("a"))
    with kernel.open("a") as session:
        session.links()
        session.sysctl("net/ipv4/ip_forward")
    kernel.cookie("a")
    assert isinstance(kernel.execute_namespace(CreateNamespace("no/such/folder")), KernelError)
    assert identity(netns.OWN) == before


def test_no_descriptor_keeps_a_namespace_alive(kernel: Kernel) -> None:
    kernel.start_watching()
    succeed(kernel, CreateNamespace("a"))
    with kernel.open("a") as session:
        assert session.sysctl("net/ipv4/ip_forward") is not None
    kernel.watch("a")
    watch_sysctl(kernel, "a", "net/ipv4/ip_forward")
    sh("ip link add v0 type veth peer name v1 netns a; ip netns del a")
    eventually(lambda: "v0" not in sh("ip -br link"), "the pair dies with the namespace")


def test_a_cookie_is_an_identity_where_the_inode_is_none(kernel: Kernel) -> None:
    cookies = set()
    for _ in range(5):
        succeed(kernel, CreateNamespace("a"))
        cookies.add(kernel.cookie("a"))
        sh("ip netns del a")
    assert len(cookies) == 5 and None not in cookies
    assert kernel.cookie("") not in cookies


def test_creating_an_existing_namespace_is_an_error_to_read_again_after(kernel: Kernel) -> None:
    sh("ip netns add a")
    answer = kernel.execute_namespace(CreateNamespace("a"))
    assert isinstance(answer, Changed) and answer.code == errno.EEXIST


def test_a_file_that_was_left_behind_is_replaced(kernel: Kernel) -> None:
    sh("ip netns add a; umount /run/netns/a; touch -d '1 hour ago' /run/netns/a")
    eventually(lambda: time.time() - os.stat("/run/netns/a").st_ctime > 1, "it is nobody's work in progress")
    with pytest.raises(Changed), kernel.open("a"):
        pass
    succeed(kernel, CreateNamespace("a"))
    assert kernel.cookie("a") is not None


def test_a_file_that_another_process_just_created_is_left_alone(kernel: Kernel) -> None:
    sh("mkdir -p /run/netns; touch /run/netns/a")
    answer = kernel.execute_namespace(CreateNamespace("a"))
    assert isinstance(answer, KernelError) and answer.code == errno.EBUSY
    assert (NAMES / "a").exists()


def test_a_file_with_contents_is_never_removed(kernel: Kernel) -> None:
    sh("mkdir -p /run/netns; echo mine > /run/netns/a")
    eventually(lambda: time.time() - os.stat("/run/netns/a").st_ctime > 1, "it is old")
    assert isinstance(kernel.execute_namespace(CreateNamespace("a")), KernelError)
    assert (NAMES / "a").read_text() == "mine\n"


def test_a_deletion_by_ip_netns_is_waited_for(kernel: Kernel) -> None:
    sh("ip netns add a; umount /run/netns/a")
    unlinking = threading.Timer(0.003, lambda: os.unlink("/run/netns/a"))
    unlinking.start()
    succeed(kernel, CreateNamespace("a"))
    unlinking.join()
    assert kernel.cookie("a") is not None


def test_a_namespace_is_deleted_by_its_cookie(kernel: Kernel) -> None:
    succeed(kernel, CreateNamespace("a"))
    first = kernel.cookie("a") or 0
    sh("ip netns del a; ip netns add a")
    answer = kernel.execute_namespace(DeleteNamespace("a", first))
    assert isinstance(answer, Changed)
    assert kernel.cookie("a") is not None
    succeed(kernel, DeleteNamespace("a", kernel.cookie("a") or 0))
    assert not (NAMES / "a").exists()
    succeed(kernel, DeleteNamespace("a", first))


def test_other_files_at_the_path_of_a_namespace_read_as_absent(kernel: Kernel) -> None:
    sh("mkdir -p /run/netns/folder; mkfifo /run/netns/pipe; ln -s nowhere /run/netns/dangling")
    sh("ln -s loop /run/netns/loop; ln -s /proc/self/ns/uts /run/netns/uts; ln -s /etc/passwd /run/netns/file")
    for name in ("folder", "pipe", "dangling", "loop", "file", "nul\0", "a" * 300):
        assert kernel.cookie(name) is None
        with pytest.raises(Changed), kernel.open(name):
            pass
    assert kernel.cookie("uts") is None


def test_attaching_names_a_process_inside(kernel: Kernel, inside: list[subprocess.Popen[bytes]]) -> None:
    foreign_namespace("/run/docker/x")
    pid = live_in("/run/docker/x", inside)
    kernel.attach("c", "/run/docker/x")
    assert kernel.attached("c") is False
    attach(kernel, "c", "/run/docker/x")
    assert os.readlink(NAMES / "c") == f"/proc/{pid}/ns/net"
    assert kernel.attached("c") is True
    sh("ip netns del c")
    assert os.path.exists("/run/docker/x") and kernel.cookie("c") is not None
    assert kernel.attached("c") is False


def test_the_link_to_a_process_that_ended_is_replaced(kernel: Kernel, inside: list[subprocess.Popen[bytes]]) -> None:
    foreign_namespace("/run/docker/x")
    live_in("/run/docker/x", inside)
    attach(kernel, "c", "/run/docker/x")
    inside[0].send_signal(signal.SIGKILL)
    inside[0].wait()
    assert kernel.attached("c") is False
    second = live_in("/run/docker/x", inside)
    attach(kernel, "c", "/run/docker/x")
    assert os.readlink(NAMES / "c") == f"/proc/{second}/ns/net"


def test_attaching_by_process(kernel: Kernel, inside: list[subprocess.Popen[bytes]]) -> None:
    foreign_namespace("/run/docker/x")
    pid = live_in("/run/docker/x", inside)
    attach(kernel, "c", f"pid:{pid}")
    assert os.readlink(NAMES / "c") == f"/proc/{pid}/ns/net"
    with kernel.open("c") as session:
        assert [link.name for link in session.links()] == ["lo"]
    inside[0].kill()
    inside[0].wait()
    assert kernel.cookie("c") is None


def test_attaching_a_namespace_without_processes_bind_mounts_it(kernel: Kernel) -> None:
    foreign_namespace("/run/docker/x")
    attach(kernel, "c", "/run/docker/x")
    assert not (NAMES / "c").is_symlink() and kernel.attached("c") is True
    cookie = kernel.cookie("c") or 0
    sh("umount /run/docker/x; rm /run/docker/x")
    assert kernel.cookie("c") is None
    assert kernel.attached("c") is False
    succeed(kernel, DetachNamespace("c", cookie))
    assert not (NAMES / "c").exists()


def test_attaching_a_namespace_to_its_own_name_does_nothing(kernel: Kernel) -> None:
    sh("ip netns add podman; ln -s /run/netns /run/other")
    kernel.attach("podman", "/run/other/podman")
    assert kernel.attached("podman") is True
    before = identity(NAMES / "podman")
    attach(kernel, "podman", "/run/other/podman")
    assert identity(NAMES / "podman") == before


def test_a_foreign_entry_of_that_name_is_a_conflict(kernel: Kernel) -> None:
    foreign_namespace("/run/docker/x")
    kernel.attach("c", "/run/docker/x")
    for make, clean in (
        ("ip netns add c", "ip netns del c"),
        ("ln -s /run/elsewhere /run/netns/c", "rm /run/netns/c"),
        ("echo their > /run/netns/c", "rm /run/netns/c"),
        ("mkdir /run/netns/c", "rmdir /run/netns/c"),
    ):
        sh(f"mkdir -p /run/netns; {make}")
        assert kernel.attached("c") is None
        answer = kernel.execute_namespace(AttachNamespace("c"))
        assert isinstance(answer, Changed) and answer.code == errno.EEXIST
        succeed(kernel, DetachNamespace("c", 4711))
        assert os.path.lexists("/run/netns/c")
        sh(clean)
    attach(kernel, "c", "/run/docker/x")


def test_a_file_that_another_process_left_without_a_mount_is_replaced_after_a_second(kernel: Kernel) -> None:
    foreign_namespace("/run/docker/x")
    kernel.attach("c", "/run/docker/x")
    sh("mkdir -p /run/netns; touch /run/netns/c")
    assert kernel.attached("c") is False
    answer = kernel.execute_namespace(AttachNamespace("c"))
    assert isinstance(answer, Refused) and answer.code == errno.EBUSY
    time.sleep(STALE_AGE)
    attach(kernel, "c", "/run/docker/x")


def test_detaching_removes_only_the_link(kernel: Kernel, inside: list[subprocess.Popen[bytes]]) -> None:
    foreign_namespace("/run/docker/x")
    live_in("/run/docker/x", inside)
    attach(kernel, "c", "/run/docker/x")
    succeed(kernel, DetachNamespace("c", kernel.cookie("c") or 0))
    assert not os.path.lexists("/run/netns/c")
    assert kernel.cookie("c") is not None
    kernel.attach("c", None)
    assert kernel.cookie("c") is None


def test_attaching_an_absent_namespace_is_an_error_to_read_again_after(kernel: Kernel) -> None:
    kernel.attach("c", "/run/docker/nothing")
    answer = kernel.execute_namespace(AttachNamespace("c"))
    assert isinstance(answer, Changed) and answer.code == errno.ENOENT
    assert not os.path.lexists("/run/netns/c")


def test_reading_creates_nothing(kernel: Kernel) -> None:
    before = sorted(str(path) for path in Path("/run").rglob("*"))
    with kernel.open("") as session:
        session.links()
        session.nsid("a")
    kernel.cookie("a")
    kernel.attached("a")
    kernel.firewall("")
    assert sorted(str(path) for path in Path("/run").rglob("*")) == before
