"""How long a lab of N namespaces takes: a file dropped before a running netd, beside iproute2 at its best and as usual.

    python -m bench.build [N]

Each namespace gets a veth to one bridge, an address, a default route and two sysctls. Every run has a fresh pretend
host; the sides take turns, three times; the median is printed as a table, and everything as JSON on the last line.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from demo import sandbox
from demo.daemon import Daemon

RUNS = 3
SYSCTLS = {"net.ipv4.tcp_fin_timeout": "30", "net.ipv4.conf.eth0.arp_announce": "1"}
#: Objects that netd counts per namespace: itself, veth, address, route, two sysctls.
OBJECTS = 6


def address(number: int) -> str:
    """The address of the namespace of that number, from 1 (in 10.20.0.0/16; the bridge has .0.1)."""
    return f"10.20.{(number + 1) // 250}.{(number + 1) % 250 + 1}"


def toml(count: int) -> str:
    """The lab as netd's file."""
    lines = ['[bridge.br0]\naddresses = ["10.20.0.1/16"]\n']
    for number in range(1, count + 1):
        lines.append(f'[namespace.n{number}.veth.eth0]\naddresses = ["{address(number)}/16"]\ngateway = "10.20.0.1"')
        lines.append(f'peer = {{ name = "v{number}", master = "br0" }}\n[namespace.n{number}.sysctl]')
        lines += [f"{key} = {value}" for key, value in SYSCTLS.items()]
    return "\n".join(lines) + "\n"


def netd(count: int) -> float:
    """From the rename into the folder to the daemon's word that all is verified."""
    draft = sandbox.CONFIG.parent / "lab.draft"  # same file system: a rename is at once
    draft.write_text(toml(count))
    daemon = Daemon(sandbox.HOME)
    try:
        daemon.wait_ready()
        daemon.hush()
        start = time.perf_counter()
        draft.rename(sandbox.CONFIG / "lab.toml")
        while not built(daemon.status, count):
            daemon.heard(time.monotonic() + 60)
        return time.perf_counter() - start
    finally:
        daemon.stop()


def built(status: str, count: int) -> bool:
    """Whether a STATUS ("1402 ok") speaks of the whole lab, and of no trouble."""
    found = re.match(r"(\d+) ok", status)
    return found is not None and int(found[1]) >= OBJECTS * count and "," not in status


def batch(count: int) -> float:
    """``ip -batch``: one for the host, one for each namespace. Without the sysctls: iproute2 has none."""
    folder = sandbox.HOME
    numbers = range(1, count + 1)
    host = ["link add br0 type bridge", "addr add 10.20.0.1/16 dev br0", "link set br0 up"]
    host += [f"netns add n{n}" for n in numbers]
    host += [f"link add v{n} up master br0 type veth peer name eth0 netns n{n}" for n in numbers]
    (folder / "host").write_text("\n".join(host) + "\n")
    for n in numbers:
        inside = ["link set lo up", "link set eth0 up", f"addr add {address(n)}/16 dev eth0"]
        (folder / f"n{n}").write_text("\n".join([*inside, "route add default via 10.20.0.1"]) + "\n")
    start = time.perf_counter()
    subprocess.run(["ip", "-batch", folder / "host"], check=True)
    for n in numbers:
        subprocess.run(["ip", "-n", f"n{n}", "-batch", folder / f"n{n}"], check=True)
    return time.perf_counter() - start


def script(count: int) -> float:
    """A shell script as people write it: one ``ip`` per command, and the sysctls."""
    lines = ["ip link add br0 type bridge", "ip addr add 10.20.0.1/16 dev br0", "ip link set br0 up"]
    for n in range(1, count + 1):
        lines += [
            f"ip netns add n{n}",
            f"ip link add v{n} type veth peer name eth0 netns n{n}",
            f"ip link set v{n} master br0 up",
            f"ip -n n{n} link set lo up",
            f"ip -n n{n} link set eth0 up",
            f"ip -n n{n} addr add {address(n)}/16 dev eth0",
            f"ip -n n{n} route add default via 10.20.0.1",
        ]
        lines += [f"ip netns exec n{n} sysctl -q -w {key}={value}" for key, value in SYSCTLS.items()]
    path = sandbox.HOME / "script"
    path.write_text("\n".join(lines) + "\n")
    start = time.perf_counter()
    subprocess.run(["sh", "-e", path], check=True)
    return time.perf_counter() - start


SIDES: dict[str, Callable[[int], float]] = {"netd": netd, "ip -batch": batch, "ip, one per command": script}


def inside(side: str, count: int) -> int:
    """In the pretend host: builds the lab, proves it with a ping from the last namespace, prints the seconds."""
    sandbox.furnish()
    seconds = SIDES[side](count)
    ping = ["ip", "netns", "exec", f"n{count}", "ping", "-q", "-c", "1", "-W", "2", address(1)]
    subprocess.run(ping, check=True, stdout=subprocess.DEVNULL)
    Path(os.environ["BENCH_RESULT"]).write_text(str(seconds))
    return 0


def settle() -> None:
    """Waits until the kernel has torn down the namespaces of the run before: they would slow the next one."""
    last, still = -1, 0
    while still < 5:
        lines = Path("/proc/slabinfo").read_text().splitlines()
        now = next((int(line.split()[1]) for line in lines if line.startswith("net_namespace ")), 0)
        still = still + 1 if now == last else 0
        last = now
        time.sleep(0.2)


def measure(count: int) -> dict[str, list[float]]:
    """Seconds of every side, run by run, in turns."""
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    result = Path(os.environ.setdefault("BENCH_RESULT", f"/tmp/netd-bench-{os.getpid()}"))
    try:
        for _ in range(RUNS):
            for side in SIDES:
                settle()
                if sandbox.enter("bench.build", str(count), side) != 0:
                    raise SystemExit(f"bench: {side} did not build the lab")
                seconds[side].append(float(result.read_text()))
    finally:
        result.unlink(missing_ok=True)
    return seconds


def main(arguments: list[str]) -> int:
    """``[N]``; with a side besides: that side, inside."""
    count = int(arguments[0]) if arguments else 200
    if len(arguments) == 2:
        return inside(arguments[1], count)
    print(f"{count} namespaces, each with a veth to one bridge, an address, a default route, two sysctls", flush=True)
    seconds = measure(count)
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    print(f"{'':24}{'median s':>10}{'beside netd':>13}   runs")
    for side, values in seconds.items():
        runs = " ".join(f"{value:.3f}" for value in values)
        print(f"{side:24}{medians[side]:10.3f}{medians[side] / medians['netd']:12.1f}x   {runs}")
    print("netd writes the sysctls and verifies by reading back; ip -batch does neither.")
    print(json.dumps({"namespaces": count, "seconds": seconds, "median": medians}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
