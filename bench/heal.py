"""How long a repair takes: raw netlink breaks something, the kernel announces the last of the repair, the time between.

    python -m bench.heal [N ...]

N namespaces (default 10, 100 and 1000), each with a veth to a bridge of fifty ports, an address, a default route and a
sysctl; beside them up to sixty with address translation only. Each sample breaks another namespace's things, so that no
budget of repairs is touched. The time includes the kernel's own for the break, and that for the repair. The environment
can say BENCH_PORTS (of each bridge, instead of 50) and BENCH_ROW (how the names of the rows begin). The last line is
JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.ear import Ear
from bench.harm import Lab, Row, rows, toml
from demo import sandbox
from demo.daemon import Daemon

SAMPLES = 60
#: At most so many breaks of one object in a run: below the budget of ten.
EACH = 6
DEADLINE = 10.0


def sample(lab: Lab, ear: Ear, row: Row, n: int) -> float:
    """Seconds from the break until it is whole: the moment at which the kernel announced the last of it."""
    # A netfilter socket that is closed now would hold up netd's transaction.
    with row.broken(n) as broken, lab.kernel.deferred_closes():
        ear.start()
        start = time.perf_counter()
        deadline = start + DEADLINE
        broken()
        while time.perf_counter() < deadline:
            heard = ear.wait(row.told, deadline) if row.told else time.perf_counter()
            if heard is not None and row.whole(n):
                return heard - start
    raise SystemExit(f"bench: namespace {n} was not healed")


def settled(lab: Lab, n: int) -> None:
    """Waits until the namespace is whole and the daemon has had time to rest."""
    until = time.perf_counter() + DEADLINE
    while not (lab.whole(n) and lab.translates(n)) and time.perf_counter() < until:
        time.sleep(0.001)
    time.sleep(0.03)


def heal(lab: Lab, row: Row) -> list[float]:
    """The seconds of one row, with a daemon of its own: in a small lab a budget would not last for all rows."""
    (sandbox.HOME / "notify").unlink(missing_ok=True)
    daemon = Daemon(sandbox.HOME)
    found = []
    try:
        daemon.wait_ready(120)
        with contextlib.closing(Ear()) as ear:
            time.sleep(1)
            for turn in range(min(SAMPLES, EACH * lab.count)):
                # Spread over the lab: neighbours share a bridge.
                n = turn * 7 % lab.count
                daemon.discard_notifications()
                settled(lab, n)
                found.append(sample(lab, ear, row, n))
    finally:
        daemon.stop()
    return found


def inside(count: int) -> int:
    """In the pretend host: builds the lab, breaks it, prints the seconds of each row as JSON."""
    sandbox.furnish()
    (sandbox.CONFIG / "lab.toml").write_text(toml(count))
    lab = Lab(count)
    wanted = os.environ.get("BENCH_ROW", "")
    found = {name: heal(lab, row) for name, row in rows(lab).items() if name.startswith(wanted)}
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(found))
    return 0


def centile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def show(everything: dict[int, dict[str, list[float]]]) -> None:
    """The table: p50 / p99 in milliseconds, from the break."""
    print(f"{'ms from the break, p50 / p99':34}" + "".join(f"{f'{count} namespaces':>20}" for count in everything))
    for name in next(iter(everything.values())):
        cells = [found[name] for found in everything.values()]
        told = [f"{1000 * statistics.median(cell):.2f} / {1000 * centile(cell, 0.99):.2f}" for cell in cells]
        print(f"{name:34}" + "".join(f"{text:>20}" for text in told))
    print(json.dumps(everything))


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


if __name__ == "__main__":
    if subprocess.run(["id", "-u"], capture_output=True, text=True).stdout.strip() != "0":
        raise SystemExit("bench: this makes network namespaces: run it as root")
    sys.exit(main(sys.argv[1:]))
