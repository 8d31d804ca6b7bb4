"""A machine with a network on two sides, in namespaces of its own, and the means to send traffic through it.

::

    far 10.230.4.9/24 ──── eth0 10.230.4.204 [machine] br0 192.168.16.1/20 ──── web 192.168.17.204, client 192.168.18.5
        fd00:4::9/64            fd00:4::204                fd00:1::1/61             fd00:1::204         fd00:1:0:3::5
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
import tomli

from netd.kernel.nft import iptables_legacy as legacy
from netd.kernel.nft import libnftables as nft
from netd.kinds.base.kind import TableContext
from netd.kinds.base.reading import checked
from netd.kinds.nat import NatKind, NatTable
from netd.model.change import Step
from netd.model.desired import Desired, Origin, View
from netd.model.firewall import Firewall
from netd.model.operations import LegacyAccept, RunNft

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)
PORTS = (80, 8000, 8001, 8002)


def check(result: int) -> None:
    """Raises what a libc call failed with."""
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Machine:
    """The mirror of one namespace: as it was read, or read anew at every look."""

    def __init__(self, firewall: Firewall | None = None) -> None:
        self._firewall = firewall

    def exists(self, netns: str) -> bool:
        """It is there."""
        return True

    def cookie(self, netns: str) -> int:
        """Always the same one."""
        return 1

    def firewall(self, netns: str) -> Firewall:
        """netd's table, and the forward chains of others."""
        return self._firewall or nft.read()


class Lab:
    """The machine is the namespace of the calling thread."""

    def __init__(self) -> None:
        self.view = cast(View, Machine())
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def run(self, command: str) -> str:
        """Runs a shell command on the machine."""
        done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def execute(self, steps: Sequence[Step]) -> None:
        """Carries out what a kind answered."""
        for step in steps:
            if isinstance(step.operation, RunNft):
                nft.run(step.operation.text)
            elif isinstance(step.operation, LegacyAccept):
                legacy.execute(step.operation)

    def build(self) -> None:
        """The network above."""
        self.run(
            """
            sysctl -qw net.ipv6.conf.default.accept_dad=0
            ip link set lo up; ip link add br0 type bridge; ip link set br0 up
            ip address add 192.168.16.1/20 dev br0; ip address add fd00:1::1/61 dev br0 nodad
            sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
            """
        )
        self.join("web", "192.168.17.204/20", "fd00:1::204/61", "192.168.16.1", "fd00:1::1", "br0")
        self.join("client", "192.168.18.5/20", "fd00:1:0:3::5/61", "192.168.16.1", "fd00:1::1", "br0")
        self.join("far", "10.230.4.9/24", "fd00:4::9/64", "", "", "eth0")
        self.run("ip address add 10.230.4.204/24 dev eth0; ip address add fd00:4::204/64 dev eth0 nodad")

    def join(self, name: str, v4: str, v6: str, via4: str, via6: str, link: str) -> None:
        """A namespace on a veth pair; behind ``br0`` it is a port of it, else ``link`` is the machine's end."""
        end = f"p{name}" if link == "br0" else link
        self.run(f"ip netns add {name}; ip link add {end} type veth peer name eth0 netns {name}; ip link set {end} up")
        if link == "br0":
            self.run(f"ip link set {end} master br0")
        inside = f"ip -n {name}"
        self.run(f"ip netns exec {name} sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0")
        self.run(f"{inside} link set lo up; {inside} link set eth0 up")
        self.run(f"{inside} address add {v4} dev eth0; {inside} address add {v6} dev eth0 nodad")
        if via4:
            self.run(f"{inside} route add default via {via4}; {inside} route add default via {via6}")

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """The calling thread is in that namespace meanwhile; "" is the machine."""
        if not name:
            yield
            return
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            check(libc.setns(there, CLONE_NEWNET))
            yield
        finally:
            check(libc.setns(here, CLONE_NEWNET))
            os.close(here)
            os.close(there)

    def serve(self, name: str, *ports: int) -> None:
        """Servers, TCP and UDP, IPv4 and IPv6, that tell their port and the address of who asks."""
        for port in ports or PORTS:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with self.inside(name):
                    server = socket.socket(socket.AF_INET6, kind)
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                server.bind(("::", port))
                self._open.append(server)
                if kind == socket.SOCK_STREAM:
                    server.listen()
                serve = answer_tcp if kind == socket.SOCK_STREAM else answer_udp
                self._threads.append(threading.Thread(target=serve, args=(server, port), daemon=True))
                self._threads[-1].start()

    def ask(self, name: str, address: str, port: int, protocol: str = "tcp") -> str:
        """What the server there answers to a client in that namespace: "PORT CLIENT"; "" none."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.inside(name):
            client = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        with client:
            client.settimeout(1)
            try:
                client.connect((address, port))
                client.send(b"?")
                return client.recv(100).decode()
            except OSError:
                return ""

    def answer(self, name: str, address: str, port: int, protocol: str = "tcp") -> str:
        """The same, asked until there is an answer: neighbours that were looked for in vain are asked again."""
        deadline = time.monotonic() + 20
        while not (found := self.ask(name, address, port, protocol)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def declared(self, text: str) -> list[Desired]:
        """The objects of a file's [nat], in their order."""
        table = checked(NatTable, tomli.loads(text)["nat"])
        found = NatKind().declare(table, TableContext("", "nat", Origin("lab.toml", ("nat",))))
        return list(NatKind().arranged([dataclasses.replace(one, order=number) for number, one in enumerate(found)]))

    def translate(self, text: str) -> list[Desired]:
        """Puts the entries of a file into force."""
        desired = self.declared(text)
        self.execute(NatKind().write_all("", desired, self.view))
        return desired

    def found(self, desired: Sequence[Desired]) -> list[str]:
        """What stands in the place of each object: "as written", "" for nothing, or what is wrong."""
        view = cast(View, Machine(nft.read()))
        seen = [NatKind().observe(one.key, one.locator, view) for one in desired]
        return [
            "" if have is None else "as written" if have.fields == want.fields else str(have.fields["rules"])
            for want, have in zip(desired, seen, strict=True)
        ]

    def close(self) -> None:
        """Ends the servers."""
        for server in self._open:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        # A thread that shares the folder of this one would forbid the way back into the mount namespace.
        for thread in (*self._threads, *(one for one in threading.enumerate() if one.name == "netd-nft-close")):
            thread.join()


def answer_tcp(server: socket.socket, port: int) -> None:
    """Answers until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            connection, client = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(1)
                connection.send(f"{port} {client[0].removeprefix('::ffff:')}".encode())


def answer_udp(server: socket.socket, port: int) -> None:
    """Answers until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            question, client = server.recvfrom(100)
            if not question:
                return
            server.sendto(f"{port} {client[0].removeprefix('::ffff:')}".encode(), client)


def leave(mounts: int) -> None:
    """Back into a mount namespace: refused as long as a thread that has ended is not quite gone."""
    deadline = time.monotonic() + 10
    while libc.setns(mounts, CLONE_NEWNS) != 0:
        assert time.monotonic() < deadline, os.strerror(ctypes.get_errno())
        time.sleep(0.001)


@contextlib.contextmanager
def sandbox() -> Iterator[Lab]:
    """New network and mount namespaces for the calling thread, with a /run of their own; back at the end."""
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("needs root, to make network namespaces")
    folder, root = os.getcwd(), os.open("/", os.O_RDONLY)
    before = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt")]
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET))
    lab = Lab()
    try:
        check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
        check(libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755"))
        Path("/run/netns").mkdir()
        yield lab
    finally:
        lab.close()
        check(libc.setns(before[0], CLONE_NEWNET))
        leave(before[1])
        # Changing the mount namespace leaves a chroot: take it up again.
        os.fchdir(root)
        os.chroot(".")
        os.chdir(folder)
        for number in (root, *before):
            os.close(number)
