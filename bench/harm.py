"""A lab that can be broken and looked at, with raw netlink: prepared beforehand, so that only the break takes time."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from netd.errors import KernelError
from netd.kernel import events
from netd.kernel.kernel import Kernel
from netd.kernel.nft import nfnetlink
from netd.kernel.rtnl import wire
from netd.kernel.rtnl.encode import encode
from netd.kernel.rtnl.encode_link import delete_link
from netd.kernel.session import Session
from netd.model import operations as ops

SYSCTL = "net/ipv4/conf/eth0/arp_announce"
MNT_DETACH = 2
#: Namespaces that only translate: at most so many.
TRANSLATING = 60
#: Ports of each bridge.
PORTS = int(os.environ.get("BENCH_PORTS", "50"))
#: NFNL_MSG_BATCH_BEGIN and _END (nfnetlink.h), NFT_MSG_DELTABLE without a name: all tables.
BATCH_BEGIN, BATCH_END, DELTABLE = 0x10, 0x11, nfnetlink.NFNL_SUBSYS_NFTABLES << 8 | 2

Break = Callable[[], object]


def bridge_of(number: int) -> int:
    """The bridge that a namespace of that number, from 0, is plugged into."""
    return number // PORTS


def address(number: int) -> str:
    """10.BRIDGE.0.0/16, from .0.2 on."""
    host = number % PORTS + 2
    return f"10.{bridge_of(number)}.{host // 256}.{host % 256}/16"


def translator(number: int, count: int) -> str:
    """The namespace with nothing but address translation that goes with a number."""
    return f"t{number % min(count, TRANSLATING)}"


def toml(count: int) -> str:
    """The lab."""
    lines = [f'[bridge.b{n}]\naddresses = ["10.{n}.0.1/16"]' for n in range(bridge_of(count - 1) + 1)]
    for n in range(count):
        lines.append(f'[namespace.n{n}]\nipv6 = false\n[namespace.n{n}.veth.eth0]\naddresses = ["{address(n)}"]')
        lines.append(f'gateway = "10.{bridge_of(n)}.0.1"\npeer = {{ name = "v{n}", master = "b{bridge_of(n)}" }}')
        lines.append(f"[namespace.n{n}.sysctl]\nnet.ipv4.conf.eth0.arp_announce = 1")
    for n in range(min(count, TRANSLATING)):
        lines.append(f'[[namespace.{translator(n, count)}.nat.masquerade]]\nsource = "10.0.0.0/8"\nout = "eth0"')
    return "\n".join(lines) + "\n"


class Lab:
    """``count`` namespaces that netd keeps."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.kernel = Kernel()

    def index(self, netns: str, name: str) -> int:
        """The index of a link, 0 where it is not there."""
        with self.kernel.open(netns) as session:
            link = session.link_named(name)
            return link.index if link else 0

    def descriptor(self, netns: str) -> int | None:
        """Nothing here moves a link: for the encoder."""
        return None

    # breaking --------------------------------------------------------------------------------------------------

    @contextmanager
    def requests(self, netns: str, requests: Sequence[wire.Request]) -> Iterator[Break]:
        """Sent there; a refusal is an error."""
        with self.kernel.open(netns) as session:

            def send() -> None:
                for error, _ in session.rtnl.request(requests):
                    if error is not None:
                        raise error

            yield send

    def operation(self, operation: ops.Operation) -> AbstractContextManager[Break]:
        """One operation, encoded."""
        return self.requests(operation.netns, encode(operation, self))

    def del_address(self, n: int) -> AbstractContextManager[Break]:
        """``ip addr del``."""
        return self.operation(ops.DeleteAddress(f"n{n}", "eth0", address(n)))

    def del_route(self, n: int) -> AbstractContextManager[Break]:
        """``ip route del default``."""
        with self.kernel.open(f"n{n}") as session:
            route = next(one for one in session.routes(wire.RT_TABLE_MAIN) if one.to == "0.0.0.0/0")
        return self.operation(ops.DeleteRoute(f"n{n}", route))

    def unplug(self, n: int) -> AbstractContextManager[Break]:
        """``ip link set nomaster``."""
        return self.operation(ops.SetLink("", f"v{n}", ops.LinkSettings(master="")))

    @contextmanager
    def del_veth(self, n: int) -> Iterator[Break]:
        """``ip link del``; in a thread, because the kernel answers long after the link is gone."""
        with self.requests("", [delete_link(self.index("", f"v{n}"))]) as send:
            thread = threading.Thread(target=send)
            yield thread.start
            thread.join()

    @contextmanager
    def del_namespace(self, n: int) -> Iterator[Break]:
        """``ip netns del``."""
        path, libc = f"/run/netns/n{n}", ctypes.CDLL(None)

        def delete() -> None:
            libc.umount2(path.encode(), MNT_DETACH)
            os.unlink(path)

        yield delete

    @contextmanager
    def write_sysctl(self, n: int) -> Iterator[Break]:
        """``sysctl -w``."""
        with self.kernel.open(f"n{n}") as session:
            descriptor = session.sysctls.open(SYSCTL, os.O_WRONLY)
        yield lambda: os.write(descriptor, b"0\n")
        os.close(descriptor)

    @contextmanager
    def flush(self, n: int) -> Iterator[Break]:
        """``nft flush ruleset``: one transaction."""
        family, kind, subsystem = (
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC,
            nfnetlink.NFNL_SUBSYS_NFTABLES,
        )
        with self.kernel.open(translator(n, self.count)) as session:
            nft = session.inside(lambda: socket.socket(family, kind, events.NETLINK_NETFILTER))
        messages = [(BATCH_BEGIN, 1, subsystem), (DELTABLE, 5, 0), (BATCH_END, 1, subsystem)]
        batch = b"".join(
            struct.pack("=IHHIIBBH", 20, message, flags, number, 0, 0, 0, socket.htons(resource))
            for number, (message, flags, resource) in enumerate(messages)
        )
        yield lambda: nft.send(batch)
        nft.close()

    # looking ---------------------------------------------------------------------------------------------------

    def inside(self, n: int, look: Callable[[Session, int], bool]) -> bool:
        """A look into a namespace that may be away."""
        try:
            with self.kernel.open(f"n{n}") as session:
                return look(session, n)
        except KernelError:
            return False

    def addressed(self, n: int) -> bool:
        """Whether the namespace has its address and its default route."""
        return self.inside(n, addressed)

    def routed(self, n: int) -> bool:
        """Whether the default route is there."""
        return self.inside(n, routed)

    def tuned(self, n: int) -> bool:
        """Whether the sysctl is as declared."""
        return self.inside(n, lambda session, _: session.sysctl(SYSCTL) == "1")

    def plugged(self, n: int) -> bool:
        """Whether the host's end is in its bridge."""
        with self.kernel.open("") as session:
            port, bridge = session.link_named(f"v{n}"), session.link_named(f"b{bridge_of(n)}")
        return port is not None and bridge is not None and port.master == bridge.index and port.up

    def whole(self, n: int) -> bool:
        """All of it."""
        return self.plugged(n) and self.addressed(n) and self.tuned(n)

    def translates(self, n: int) -> bool:
        """Whether netd's table is there, complete."""
        firewall = self.kernel.firewall(translator(n, self.count))
        return firewall.exists and not firewall.disorder


def addressed(session: Session, n: int) -> bool:
    """The address and the default route."""
    link = session.link_named("eth0")
    if link is None or not link.up:
        return False
    return any(one.address == address(n) for one in session.addresses(link.index)) and routed(session, n)


def routed(session: Session, n: int) -> bool:
    """The default route."""
    return any(one.to == "0.0.0.0/0" for one in session.routes(wire.RT_TABLE_MAIN))


class Row(NamedTuple):
    """What is broken, when it is whole, and the message (type, body) that tells so; None: one has to look."""

    broken: Callable[[int], AbstractContextManager[Break]]
    whole: Callable[[int], bool]
    told: Callable[[int, bytes], bool] | None = None


def rows(lab: Lab) -> dict[str, Row]:
    """What is measured."""

    def default_route(kind: int, body: bytes) -> bool:
        """rtm_dst_len is 0."""
        return kind == wire.RTM_NEWROUTE and body[1] == 0

    return {
        "address with its default route": Row(lab.del_address, lab.addressed, default_route),
        "route": Row(lab.del_route, lab.routed, default_route),
        "port out of its bridge": Row(lab.unplug, lab.plugged, lambda kind, body: kind == wire.RTM_NEWLINK),
        "veth with all on it": Row(lab.del_veth, lab.whole, default_route),
        "namespace with all in it": Row(lab.del_namespace, lab.whole, default_route),
        "sysctl": Row(lab.write_sysctl, lab.tuned),
        "nft flush ruleset": Row(lab.flush, lab.translates, lambda kind, body: kind == events.NFT_NEWGEN),
    }
