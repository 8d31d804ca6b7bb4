"""Whoever may connect can connect a thousand times, say nothing, and read nothing: repairs and others go on."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.host import Host
from tests.support.process import Daemon

#: nat, so that libnftables needs a descriptor below 1,024 at each repair.
LAB = """
[bridge.br0]
addresses = ["10.4.0.1/24"]

[[nat.masquerade]]
source = "10.4.0.0/24"
out = "eth0"
"""
#: Connections of an attack.
CROWD = 1100


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    """The test itself holds one for each connection."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 8192), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def crowd(host: Host, said: bytes = b"", count: int = CROWD, port: int = 0) -> Iterator[list[socket.socket]]:
    """So many connections to the status socket, or to a port; each says that, and reads nothing."""
    held: list[socket.socket] = []
    path = f"/proc/{host.pid}/root/run/netd/netd.sock"
    with in_network_of(host) if port else contextlib.nullcontext():
        try:
            for _ in range(count):
                one = socket.socket(socket.AF_INET if port else socket.AF_UNIX)
                held.append(one)
                # A full queue of connections is waited for; one that was hung up on meanwhile is no loss.
                one.connect(("127.0.0.1", port) if port else path)
                with contextlib.suppress(OSError):
                    one.sendall(said)
            yield held
        finally:
            for one in held:
                one.close()


@contextlib.contextmanager
def in_network_of(host: Host) -> Iterator[None]:
    """The calling thread is in a host's network."""
    own, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", f"/proc/{host.pid}/ns/net"))
    setns(there)
    try:
        yield
    finally:
        setns(own)
        os.close(own)
        os.close(there)


def setns(descriptor: int) -> None:
    import ctypes

    assert ctypes.CDLL(None, use_errno=True).setns(descriptor, 0) == 0


def heals(host: Host) -> None:
    """An address and the rules of NAT come back."""
    host.run("ip", "addr", "del", "10.4.0.1/24", "dev", "br0")
    host.run("nft", "flush", "ruleset")
    host.until(lambda: "10.4.0.1/24" in host.addresses("br0"), "the address is back")
    host.until(lambda: "masquerade" in host.run("nft", "list", "ruleset"), "the rules are back")


def field(daemon: Daemon, name: str) -> int:
    """A number of /proc/PID/status: kilobytes, or a count."""
    text = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(f"{name}:")).split()[1])


@pytest.mark.parametrize("said", [b"", b'{"verb": "st', b'{"verb": "wait"}\n'], ids=["idle", "half", "waiting"])
def test_a_crowd_at_the_status_socket_costs_neither_repairs_nor_threads_nor_answers(host: Host, said: bytes) -> None:
    host.write("lab.toml", LAB + '[vxlan.vx9]\nvni = 9\ndev = "late0"\nremote = "10.9.9.9"\n')
    daemon = host.daemon()
    threads = field(daemon, "Threads")
    with crowd(host, said):
        heals(host)
        assert field(daemon, "Threads") <= threads + 2
        assert host.netd("status", check=None).returncode in (0, 2)
    heals(host)


@pytest.mark.thorough
def test_a_crowd_at_the_metrics_port_costs_neither_repairs_nor_threads_nor_metrics(host: Host) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon("--metrics-port", "9586")
    threads = field(daemon, "Threads")
    with crowd(host, port=9586, count=300):
        heals(host)
        assert field(daemon, "Threads") <= threads + 2
        with in_network_of(host), socket.create_connection(("127.0.0.1", 9586), timeout=30) as one:
            one.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: one.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.0 200") and b"netd_objects" in answer


@pytest.mark.thorough
def test_who_says_nothing_is_hung_up_on(host: Host) -> None:
    host.daemon()
    with crowd(host, b'{"verb": "st', count=1) as (one,):
        one.settimeout(30)
        began = time.monotonic()
        assert b"not understood" in one.recv(100) or one.recv(100) == b""
        assert time.monotonic() - began < 25


def test_answers_that_nobody_reads_cost_no_memory_and_no_one_elses_answer(host: Host) -> None:
    several = {n: json.dumps([f"10.{n}.{m}.1/24" for m in range(200)]) for n in range(5, 13)}
    host.write("lab.toml", "\n".join(f"[bridge.b{n}]\naddresses = {each}" for n, each in several.items()))
    daemon = host.daemon()
    size = len(host.netd("status", "--json", check=0).stdout)
    before = field(daemon, "VmRSS")
    with crowd(host, b'{"verb": "status"}\n'):
        host.run("ip", "addr", "del", "10.7.5.1/24", "dev", "b7")
        host.until(lambda: "10.7.5.1/24" in host.addresses("b7"), "the address is back")
        assert host.netd("status", check=0).returncode == 0
        grown = (field(daemon, "VmRSS") - before) * 1024
        # One copy for each would be hundreds of these; connections themselves take some kilobytes.
        assert grown < 40 * size + 16 * 1024 * CROWD


def test_waiting_for_thousands_of_names_costs_a_repair_nothing(host: Host) -> None:
    names = [f"address/b0/10.7.{n // 250}.{n % 250 + 1}/32" for n in range(1500)]
    addresses = json.dumps([name.removeprefix("address/b0/") for name in names])
    host.write("lab.toml", f"[bridge.b0]\naddresses = {addresses}\n{LAB}\n")
    host.write("late.toml", '[vxlan.v]\nvni = 9\ndev = "late0"\nremote = "10.9.9.9"\n')
    host.daemon()
    asked = json.dumps({"verb": "wait", "objects": [*names, "vxlan/v"]}).encode() + b"\n"

    def repair() -> float:
        began = time.monotonic()
        host.run("ip", "addr", "del", "10.4.0.1/24", "dev", "br0")
        host.until(lambda: "10.4.0.1/24" in host.addresses("br0"), "the address is back")
        return time.monotonic() - began

    alone = min(repair() for _ in range(3))
    with crowd(host, asked, count=150) as held:
        beside = min(repair() for _ in range(5))
        assert beside < 4 * alone + 0.3, (alone, beside)
        host.run("ip", "link", "add", "late0", "type", "bridge")
        for one in held:
            one.settimeout(60)
            assert json.loads(one.recv(1 << 16)) == {"not_ready": []}
