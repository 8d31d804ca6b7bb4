"""How long a repair takes: raw netlink breaks something, raw netlink sees it whole again, the time between is printed.

    python -m bench.heal [N ...]

N namespaces (default 10, 100 and 1000), each with a veth to a bridge of fifty ports, an address, a default route and a
sysctl; masquerade on the host. Each sample breaks another namespace's things, so that no budget of repairs is touched.
The time includes the kernel's own for the break. The last line is JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from demo import sandbox
from demo.daemon import Daemon
from netd.errors import KernelError
from netd.kernel.kernel import Kernel
from netd.kernel.session import Session
from netd.model import operations as ops

PORTS = 50
SAMPLES = 60
#: At most so many breaks of one object in a run: below the budget of ten.
EACH = 6
SYSCTL = "net/ipv4/conf/eth0/arp_announce"
DEADLINE = 10.0
MNT_DETACH = 2


def bridge_of(number: int) -> int:
    """The bridge that a namespace of that number, from 0, is plugged into."""
    return number // PORTS


def address(number: int) -> str:
    """10.BRIDGE.0.HOST."""
    return f"10.{bridge_of(number)}.0.{number % PORTS + 2}/24"


def toml(count: int) -> str:
    """The lab."""
    lines = ['[[nat.masquerade]]\nsource = "10.0.0.0/8"\nout = "eth0"']
    lines += [f'[bridge.b{n}]\naddresses = ["10.{n}.0.1/24"]' for n in range(bridge_of(count - 1) + 1)]
    for n in range(count):
        lines.append(f'[namespace.n{n}]\nipv6 = false\n[namespace.n{n}.veth.eth0]\naddresses = ["{address(n)}"]')
        lines.append(f'gateway = "10.{bridge_of(n)}.0.1"\npeer = {{ name = "v{n}", master = "b{bridge_of(n)}" }}')
        lines.append(f"[namespace.n{n}.sysctl]\nnet.ipv4.conf.eth0.arp_announce = 1")
    return "\n".join(lines) + "\n"


class Lab:
    """Breaks and looks, with sockets of its own."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.libc = ctypes.CDLL(None)

    def index(self, netns: str, name: str) -> int:
        """The index of a link, 0 where it is not there."""
        with self.kernel.open(netns) as session:
            link = session.link_named(name)
            return link.index if link else 0

    def do(self, operation: ops.Operation) -> None:
        """One operation, which must work."""
        with self.kernel.open(operation.netns) as session:
            for answer in session.execute([operation], self.index):
                if isinstance(answer, KernelError):
                    raise answer

    def addressed(self, session: Session, n: int) -> bool:
        """Whether the namespace has its address and its default route."""
        link = session.link_named("eth0")
        if link is None or not link.up:
            return False
        there = any(one.address == address(n) for one in session.addresses(link.index))
        return there and any(one.to == "0.0.0.0/0" for one in session.routes(254))

    def routed(self, session: Session, n: int) -> bool:
        """Whether the default route is there."""
        return any(one.to == "0.0.0.0/0" for one in session.routes(254))

    def tuned(self, session: Session, n: int) -> bool:
        """Whether the sysctl is as declared."""
        return session.sysctl(SYSCTL) == "1"

    def plugged(self, n: int) -> bool:
        """Whether the host's end is in its bridge."""
        with self.kernel.open("") as session:
            port, bridge = session.link_named(f"v{n}"), session.link_named(f"b{bridge_of(n)}")
        return port is not None and bridge is not None and port.master == bridge.index and port.up

    def inside(self, n: int, look: Callable[[Session, int], bool]) -> bool:
        """A look into a namespace that may be away."""
        try:
            with self.kernel.open(f"n{n}") as session:
                return look(session, n)
        except KernelError:
            return False

    def whole(self, n: int) -> bool:
        """All of it."""
        return self.plugged(n) and self.inside(n, self.addressed) and self.inside(n, self.tuned)

    def translates(self, n: int) -> bool:
        """Whether netd's table is there, complete."""
        firewall = self.kernel.firewall("")
        return firewall.exists and not firewall.disorder

    def delete_namespace(self, n: int) -> None:
        """As ``ip netns del`` does it."""
        path = f"/run/netns/n{n}".encode()
        self.libc.umount2(path, MNT_DETACH)
        os.unlink(path)

    def flush(self, n: int) -> None:
        """``nft flush ruleset`` without the process."""
        from netd.kernel import nft

        nft.run("flush ruleset\n")


def rows(lab: Lab) -> dict[str, tuple[Callable[[int], None], Callable[[int], bool]]]:
    """What is broken, and when it is whole."""
    return {
        "address with its default route": (
            lambda n: lab.do(ops.DeleteAddress(f"n{n}", "eth0", address(n))),
            lambda n: lab.inside(n, lab.addressed),
        ),
        "route": (lambda n: delete_default(lab, n), lambda n: lab.inside(n, lab.routed)),
        "port out of its bridge": (
            lambda n: lab.do(ops.SetLink("", f"v{n}", ops.LinkSettings(master=""))),
            lab.plugged,
        ),
        "veth with all on it": (lambda n: lab.do(ops.DeleteLink("", lab.index("", f"v{n}"))), lab.whole),
        "namespace with all in it": (lab.delete_namespace, lab.whole),
        "sysctl": (
            lambda n: lab.do(ops.WriteSysctl(f"n{n}", SYSCTL, "0")),
            lambda n: lab.inside(n, lab.tuned),
        ),
        "nft flush ruleset": (lab.flush, lab.translates),
    }


def delete_default(lab: Lab, n: int) -> None:
    """``ip route del default``."""
    with lab.kernel.open(f"n{n}") as session:
        route = next(one for one in session.routes(254) if one.to == "0.0.0.0/0")
        session.execute([ops.DeleteRoute(f"n{n}", route)], lab.index)


def sample(lab: Lab, broken: Callable[[int], None], whole: Callable[[int], bool], n: int) -> float:
    """Seconds from the break to the first look that finds it whole."""
    start = time.perf_counter()
    broken(n)
    while not whole(n):
        if time.perf_counter() - start > DEADLINE:
            raise SystemExit(f"bench: namespace {n} was not healed")
    return time.perf_counter() - start


def settled(lab: Lab, n: int) -> None:
    """Waits until the namespace is whole and the daemon has had time to rest."""
    until = time.perf_counter() + DEADLINE
    while not (lab.whole(n) and lab.translates(n)) and time.perf_counter() < until:
        time.sleep(0.001)
    time.sleep(0.03)


def inside(count: int) -> int:
    """In the pretend host: builds the lab, breaks it, prints the seconds of each row as JSON."""
    sandbox.furnish()
    (sandbox.CONFIG / "lab.toml").write_text(toml(count))
    lab = Lab()
    found = {name: heal(lab, count, name, broken, whole) for name, (broken, whole) in rows(lab).items()}
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(found))
    return 0


def heal(lab: Lab, count: int, name: str, broken: Callable[[int], None], whole: Callable[[int], bool]) -> list[float]:
    """The seconds of one row, with a daemon of its own: in a small lab a budget would not last for all rows."""
    once = name == "nft flush ruleset"  # there is one table only: its budget is all there is
    (sandbox.HOME / "notify").unlink(missing_ok=True)
    daemon = Daemon(sandbox.HOME)
    found = []
    try:
        daemon.wait_ready(120)
        time.sleep(1)
        for turn in range(min(SAMPLES, EACH * (1 if once else count))):
            # Spread over the lab: neighbours share a bridge.
            n = turn * 7 % count
            daemon.hush()
            settled(lab, n)
            found.append(sample(lab, broken, whole, n))
    finally:
        daemon.stop()
    return found


def centile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def main(arguments: list[str]) -> int:
    """``[N ...]``; ``--inside N``: in the pretend host."""
    if arguments[:1] == ["--inside"]:
        return inside(int(arguments[1]))
    counts = [int(argument) for argument in arguments] or [10, 100, 1000]
    result = Path(os.environ.setdefault("BENCH_RESULT", f"/tmp/netd-bench-{os.getpid()}"))
    everything: dict[int, dict[str, list[float]]] = {}
    try:
        for count in counts:
            print(f"healing among {count} namespaces ...", file=sys.stderr, flush=True)
            if sandbox.enter("bench.heal", "--inside", str(count)) != 0:
                raise SystemExit("bench: not healed")
            everything[count] = json.loads(result.read_text())
    finally:
        result.unlink(missing_ok=True)
    show(everything)
    return 0


def show(everything: dict[int, dict[str, list[float]]]) -> None:
    """The table: p50 / p99 in milliseconds, from the break."""
    print(f"{'ms from the break, p50 / p99':34}" + "".join(f"{f'{count} namespaces':>20}" for count in everything))
    for name in next(iter(everything.values())):
        cells = [found[name] for found in everything.values()]
        told = [f"{1000 * statistics.median(cell):.2f} / {1000 * centile(cell, 0.99):.2f}" for cell in cells]
        print(f"{name:34}" + "".join(f"{text:>20}" for text in told))
    print(json.dumps(everything))


if __name__ == "__main__":
    if subprocess.run(["id", "-u"], capture_output=True, text=True).stdout.strip() != "0":
        raise SystemExit("bench: this makes network namespaces: run it as root")
    sys.exit(main(sys.argv[1:]))
