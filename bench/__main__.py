"""The table: how long a lab of N namespaces takes netd, and others.

    python -m bench [N ...]

For each N (default 10, 50, 200 and 1000) every side builds the lab of ``bench.lab`` in a fresh pretend host, three
times, in turns. Printed are the median, the least and the most; everything goes to bench/results.json as well.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

from bench.sides import SIDES, Figures, sides
from demo import sandbox

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
RESULTS = Path(__file__).parent / "results.json"
#: {(side, measure): (side, measure)} whose quotient says something.
RATIOS = (
    (("netd run", "build"), ("ip -batch", "build")),
    (("netd run", "build"), ("raw netlink", "build")),
    (("netd apply", "build"), ("ip -batch", "build")),
    (("netd run", "take down"), ("ip -batch", "take down")),
    (("netd run", "take down"), ("ip -batch", "take down, last port gone")),
    (("netd apply", "nothing to do: diff"), ("ip -batch", "nothing to do: ip -j of all")),
    (("netd run", "one change, a file of its own"), ("ip -batch", "one change, one ip command")),
)


def settle() -> None:
    """Waits until the kernel has torn down the namespaces of the run before: they would slow the next one."""
    last, still = -1, 0
    while still < 5:
        lines = Path("/proc/slabinfo").read_text().splitlines()
        now = next((int(line.split()[1]) for line in lines if line.startswith("net_namespace ")), 0)
        still = still + 1 if now == last else 0
        last = now
        time.sleep(0.2)


def measure(count: int) -> dict[str, list[Figures]]:
    """The figures of every side, run by run, in turns."""
    found: dict[str, list[Figures]] = {side: [] for side in sides(count)}
    result = Path(os.environ.setdefault("BENCH_RESULT", f"/tmp/netd-bench-{os.getpid()}"))
    try:
        for number in range(RUNS):
            for side in found:
                print(
                    f"\r{count} namespaces, run {number + 1} of {RUNS}: {side:24}", end="", file=sys.stderr, flush=True
                )
                settle()
                if sandbox.enter("bench", "--inside", str(count), side) != 0:
                    raise SystemExit(f"bench: {side} did not build the lab")
                found[side].append(json.loads(result.read_text()))
    finally:
        result.unlink(missing_ok=True)
        print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    return found


def show(count: int, found: dict[str, list[Figures]]) -> dict[str, dict[str, list[float]]]:
    """Prints it; returns {side: {measure: the runs}}."""
    runs = {side: {name: [each[name] for each in figures] for name in figures[0]} for side, figures in found.items()}
    print(f"\n{count} namespaces{'':28}{'median':>10}{'least':>10}{'most':>10}")
    for side, measures in runs.items():
        for name, values in measures.items():
            middle = statistics.median(values)
            print(f"  {side:20}{name:32}{middle:10.3f}{min(values):10.3f}{max(values):10.3f}")
    for (one, name), (other, beside) in RATIOS:
        if one in runs and other in runs:
            ratio = statistics.median(runs[one][name]) / statistics.median(runs[other][beside])
            print(f"  {one}, {name} : {other}, {beside} = {ratio:.2f}")
    return runs


def inside(count: int, side: str) -> int:
    """In the pretend host."""
    sandbox.furnish()
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(SIDES[side](count)))
    return 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--inside"]:
        return inside(int(arguments[1]), arguments[2])
    print("Seconds, but for what is named otherwise. netd writes the sysctls and NAT, and verifies by reading back;")
    print("raw netlink writes the sysctls, ip -batch neither, and none of the two verifies.")
    results = {}
    for count in [int(each) for each in arguments] or [10, 50, 200, 1000]:
        results[count] = show(count, measure(count))
        RESULTS.write_text(json.dumps(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
