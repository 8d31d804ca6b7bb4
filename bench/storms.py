"""What keeps a daemon busy while something else breaks: each is a context, and says when it is over."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench.harm import Lab
from demo import sandbox
from netd.errors import Busy, Silent, UsageError
from netd.kernel.rtnl import wire
from netd.report.status import STATE_DIR, ask

#: Namespaces that are built and removed; bridges, with 50 ports each, that are removed.
NAMESPACES = int(os.environ.get("BENCH_NAMESPACES", "1000"))
BRIDGES = int(os.environ.get("BENCH_BRIDGES", "100"))
#: Routes and rules of others that are there while some of them change all the time.
ROUTES, RULES = int(os.environ.get("BENCH_ROUTES", "20000")), int(os.environ.get("BENCH_RULES", "2000"))
#: Programs that ask the status socket all the time.
ASKING = 16
FILE = sandbox.CONFIG / "busy.toml"

#: Whether it is over by itself; waiting until the daemon has nothing to do.
Over = Callable[[], bool]
Converged = Callable[[], None]
Storm = Callable[[Lab, Converged], AbstractContextManager[Over]]

ROUTE_STORM = """
ip link add storm0 up type bridge
for n in $(seq 0 %d); do echo "route add 11.$((n / 62500)).$((n / 250 %% 250)).$((n %% 250))/32 dev storm0"; done |
    ip -batch -
echo ready
while :; do
    for n in $(seq 0 499); do echo "route add 12.0.$((n / 250)).$((n %% 250))/32 dev storm0"; done
    for n in $(seq 0 499); do echo "route del 12.0.$((n / 250)).$((n %% 250))/32 dev storm0"; done
done | ip -force -batch -
"""
NFT_STORM = """
{ echo 'table ip storm { chain forward { type filter hook forward priority 0; policy accept;'
  for n in $(seq %d); do echo "ip saddr 11.0.$((n / 250)).$((n %% 250)) drop"; done
  echo '}'; echo 'chain other { }'; echo '}'; } | nft -f -
echo ready
while :; do echo 'add rule ip storm other ip saddr 12.0.0.1 drop'; echo 'flush chain ip storm other'; sleep 0.01; done |
    nft -i >/dev/null
"""


def namespaces() -> str:
    """The file with many namespaces, each with a cable to a bridge of a thousand."""
    lines = [f'[bridge.busy{n}]\naddresses = ["172.{16 + n}.0.1/16"]' for n in range((NAMESPACES - 1) // 1000 + 1)]
    for n in range(NAMESPACES):
        to, host = n // 1000, n % 1000 + 2
        lines.append(f'[namespace.x{n:05}.veth.eth0]\naddresses = ["172.{16 + to}.{host // 250}.{host % 250 + 1}/16"]')
        lines.append(f'gateway = "172.{16 + to}.0.1"\npeer = {{ name = "x{n}", master = "busy{to}" }}')
    return "\n".join(lines) + "\n"


def bridges(count: int, ports: int = 50) -> str:
    """The file with so many bridges on the host, each with ports."""
    lines = []
    for n in range(count):
        lines.append(f"[bridge.rb{n}]")
        lines += [f'[veth.r{n}_{p}]\nmaster = "rb{n}"\npeer = {{ name = "s{n}_{p}" }}' for p in range(ports)]
    return "\n".join(lines) + "\n"


def forever() -> bool:
    """It ends when it is left."""
    return False


@contextmanager
def nothing(lab: Lab, converged: Converged) -> Iterator[Over]:
    """The same measurement beside nothing."""
    yield forever


@contextmanager
def build(lab: Lab, converged: Converged) -> Iterator[Over]:
    """Many namespaces are built. What is in them is written in the order of their names."""
    FILE.write_text(namespaces())

    def over() -> bool:
        with contextlib.suppress(Exception), lab.kernel.open(f"x{NAMESPACES - 1:05}") as session:
            return any(one.to == "0.0.0.0/0" for one in session.routes(wire.RT_TABLE_MAIN))
        return False

    yield over
    converged()
    FILE.unlink()


@contextmanager
def namespaces_removed(lab: Lab, converged: Converged) -> Iterator[Over]:
    """Many namespaces are removed."""
    FILE.write_text(namespaces())
    converged()
    FILE.unlink()
    yield lambda: not lab.index("", "busy0")
    converged()


@contextmanager
def bridges_removed(lab: Lab, converged: Converged) -> Iterator[Over]:
    """Many bridges with all their ports are removed."""
    FILE.write_text(bridges(BRIDGES))
    converged()
    FILE.unlink()
    yield lambda: not lab.index("", "rb0") and not lab.index("", f"rb{BRIDGES - 1}")
    converged()


def shell(script: str) -> Storm:
    """A script that says "ready", and then continues until it is ended."""

    @contextmanager
    def storm(lab: Lab, converged: Converged) -> Iterator[Over]:
        process = subprocess.Popen(["sh", "-ec", script], stdout=subprocess.PIPE, process_group=0, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield forever
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return storm


@contextmanager
def questions(lab: Lab, converged: Converged) -> Iterator[Over]:
    """Many programs ask for the status."""
    asking = [subprocess.Popen([sys.executable, "-m", "bench.storms"]) for _ in range(ASKING)]
    try:
        yield forever
    finally:
        for one in asking:
            one.kill()
            one.wait()


STORMS: dict[str, Storm] = {
    "nothing": nothing,
    f"{NAMESPACES} namespaces are built": build,
    f"{NAMESPACES} namespaces are removed": namespaces_removed,
    f"{BRIDGES} bridges with 50 ports are removed": bridges_removed,
    f"routes change, beside {ROUTES}": shell(ROUTE_STORM % ROUTES),
    f"nftables changes, beside {RULES} rules": shell(NFT_STORM % RULES),
    f"{ASKING} programs ask for the status": questions,
}


class Asker(threading.Thread):
    """Asks for the status ten times a second: ``seconds`` of each answer, ``silent``: so often none came."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self.seconds: list[float] = []
        self.silent = 0
        self._clock = clock
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            began = self._clock()
            try:
                ask(STATE_DIR, {"verb": "status"}, 5)
                self.seconds.append(self._clock() - began)
            except (Silent, Busy, UsageError):
                self.silent += 1

    def end(self) -> None:
        """No more questions."""
        self._over.set()
        self.join()


def main() -> None:
    """Asks for the status, again and again, until it is ended."""
    while True:
        with contextlib.suppress(Silent, Busy, UsageError):
            ask(STATE_DIR, {"verb": "status"}, 5)


if __name__ == "__main__":
    main()
