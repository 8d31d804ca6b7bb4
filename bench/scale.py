"""Large labs: how long until READY and after a restart, what they cost, how long one address takes; and removals.

    python -m bench.scale [SCALE]

SCALE (default 1) is a factor for the number of everything. Each lab has a daemon of its own in a fresh pretend host.
READY is the first start, with everything to build; the restart finds all of it. Of the repairs of one address the
median counts. Removals are of bridges with 50 ports each, from the change of the file until the last link is gone; the
CPU is the daemon's. The last line is JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.harm import Lab
from bench.process import cpu, resident
from bench.storms import bridges
from demo import sandbox
from demo.daemon import Daemon
from netd.errors import KernelError
from netd.model import operations as ops
from netd.report.status import STATE_DIR, ask

SAMPLES = 6
#: The address that is broken, on a bridge of its own.
ADDRESS = "10.255.255.1/32"
VICTIM = f'[bridge.victim]\naddresses = ["{ADDRESS}"]\n'
DEADLINE = 900
Files = Mapping[str, str]


def namespaces(count: int) -> list[str]:
    """One text for each namespace, with its cable to a bridge of a thousand ports."""
    texts = []
    for n in range(count):
        to, host = n // 1000, n % 1000 + 2
        texts.append(
            f'[namespace.n{n}.veth.eth0]\naddresses = ["172.{16 + to}.{host // 250}.{host % 250 + 1}/16"]\n'
            f'gateway = "172.{16 + to}.0.1"\npeer = {{ name = "v{n}", master = "br{to}" }}\n'
        )
    return texts


def hubs(count: int) -> str:
    """The bridges of these namespaces."""
    numbers = range((count - 1) // 1000 + 1)
    return "".join(f'[bridge.br{n}]\naddresses = ["172.{16 + n}.0.1/16"]\n' for n in numbers)


def one_file(count: int) -> Files:
    """All namespaces in one file."""
    return {"lab.toml": hubs(count) + "".join(namespaces(count))}


def a_file_each(count: int) -> Files:
    """Each namespace in a file of its own."""
    return {"hubs.toml": hubs(count)} | {f"n{n}.toml": text for n, text in enumerate(namespaces(count))}


def routes(count: int) -> Files:
    """All routes in one namespace."""
    lab = (
        '[namespace.r.veth.eth0]\naddresses = ["10.1.0.2/16"]\npeer = { name = "to-r", addresses = ["10.1.0.1/16"] }\n'
    )
    route = '[[namespace.r.route]]\nto = "11.{}.{}.0/24"\nvia = "10.1.0.1"\n'
    return {"lab.toml": lab + "".join(route.format(n // 250, n % 250) for n in range(count))}


def forwards(count: int) -> Files:
    """All ports in the host."""
    entry = '[[nat.dnat]]\nport = {}\nto = "10.2.{}.{}:80"\n'
    return {"lab.toml": "".join(entry.format(10000 + n, n // 250, n % 250 + 1) for n in range(count))}


def tunnels(count: int) -> Files:
    """Each with a hundred remotes."""
    remotes = json.dumps([f"10.3.0.{n}" for n in range(2, 102)])
    tunnel = '[vxlan.x{0}]\nvni = {1}\nlocal = "10.3.0.1"\nremote = {2}\n'
    lab = '[bridge.under]\naddresses = ["10.3.0.1/16"]\n'
    return {"lab.toml": lab + "".join(tunnel.format(n, n + 1, remotes) for n in range(count))}


def switches(count: int) -> Files:
    """Each with fifty ports."""
    return {"lab.toml": bridges(count)}


#: {what: (how many, the files)}.
LABS: Mapping[str, tuple[int, Callable[[int], Files]]] = {
    "namespaces, one file": (2000, one_file),
    "namespaces, a file each": (4000, a_file_each),
    "routes in one namespace": (10000, routes),
    "DNAT": (5000, forwards),
    "vxlans x 100 remotes": (500, tunnels),
    "bridges x 50 ports": (200, switches),
}
REMOVALS = (25, 50, 100, 200)


def start() -> tuple[Daemon, float]:
    """A daemon, and the seconds until it was ready."""
    (sandbox.HOME / "notify").unlink(missing_ok=True)
    began = time.monotonic()
    daemon = Daemon(sandbox.HOME)
    daemon.wait_ready(DEADLINE)
    return daemon, time.monotonic() - began


def write(files: Files) -> None:
    """Puts a lab into the directory."""
    for name, text in files.items():
        (sandbox.CONFIG / name).write_text(text)


def heal(lab: Lab) -> float:
    """Seconds until the victim's address is back."""
    index = lab.index("", "victim")
    with lab.operation(ops.DeleteAddress("", "victim", ADDRESS)) as broken, lab.kernel.open("") as session:
        began = time.perf_counter()
        broken()
        while not any(one.address == ADDRESS for one in session.addresses(index)):
            time.sleep(0.0005)
        return time.perf_counter() - began


def measure_lab(files: Files) -> dict[str, float]:
    """One row."""
    write({"victim.toml": VICTIM})
    write(files)
    daemon, ready = start()
    daemon.stop()
    daemon, restart = start()
    try:
        lab = Lab(0)
        time.sleep(1)
        healed = []
        for _ in range(SAMPLES):
            daemon.discard_notifications()
            healed.append(heal(lab))
            time.sleep(0.1)
        objects = len(ask(STATE_DIR, {"verb": "status"}, DEADLINE)["objects"])
        found = {"objects": float(objects), "ready": ready, "restart": restart, "memory": resident(daemon.process.pid)}
        return found | {"heal": 1000 * statistics.median(healed)}
    finally:
        daemon.stop()


def measure_removal(count: int) -> dict[str, float]:
    """Seconds and CPU until so many bridges are gone."""
    write(switches(count))
    daemon, _ = start()
    try:
        lab = Lab(0)
        time.sleep(1)
        used, began = cpu(daemon.process.pid), time.monotonic()
        (sandbox.CONFIG / "lab.toml").unlink()
        while any(_there(lab, f"rb{n}") for n in (0, count - 1)):
            time.sleep(0.02)
            daemon.discard_notifications()
        seconds = time.monotonic() - began
        return {"seconds": seconds, "cpu": cpu(daemon.process.pid) - used}
    finally:
        daemon.stop()


def _there(lab: Lab, name: str) -> bool:
    with contextlib.suppress(KernelError):
        return bool(lab.index("", name))
    return True


def inside(what: str, count: int) -> int:
    """In the pretend host: one lab, or one removal."""
    sandbox.furnish()
    found = measure_removal(count) if what == "removal" else measure_lab(LABS[what][1](count))
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(found))
    return 0


def in_a_host(what: str, count: int) -> dict[str, float]:
    """The same, each in a fresh one."""
    result = Path(os.environ["BENCH_RESULT"])
    print(f"{count} {what} ...", file=sys.stderr, flush=True)
    if sandbox.enter("bench.scale", "--inside", what, str(count)) != 0:
        raise SystemExit(f"bench: {what}: not measured")
    found: dict[str, float] = json.loads(result.read_text())
    result.unlink()
    return found


def main(arguments: list[str]) -> int:
    """``[SCALE]``; ``--inside WHAT COUNT``: in the pretend host."""
    if arguments[:1] == ["--inside"]:
        return inside(arguments[1], int(arguments[2]))
    scale = float(arguments[0]) if arguments else 1.0
    os.environ.setdefault("BENCH_RESULT", f"/tmp/netd-bench-{os.getpid()}")
    everything: dict[str, dict[str, float]] = {}
    print(f"{'lab':34}{'objects':>9}{'READY s':>9}{'restart s':>11}{'RSS MB':>8}{'an address heals ms':>21}")
    for what, (count, _) in LABS.items():
        number = max(1, round(count * scale))
        row = everything[f"{number} {what}"] = in_a_host(what, number)
        print(
            f"{f'{number} {what}':34}{row['objects']:9.0f}{row['ready']:9.1f}{row['restart']:11.1f}{row['memory']:8.0f}"
            f"{row['heal']:21.1f}",
            flush=True,
        )
    print(f"\n{'removal of bridges x 50 ports':34}{'seconds':>9}{'CPU s':>9}")
    for count in REMOVALS:
        number = max(1, round(count * scale))
        row = everything[f"removal of {number}"] = in_a_host("removal", number)
        print(f"{number:<34}{row['seconds']:9.1f}{row['cpu']:9.2f}", flush=True)
    first, last = (everything[f"removal of {max(1, round(n * scale))}"] for n in (50, 200))
    print(f"200 : 50 = {last['seconds'] / first['seconds']:.1f} (seconds), {last['cpu'] / first['cpu']:.1f} (CPU)")
    print(json.dumps(everything))
    return 0


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("bench: this makes network namespaces: run it as root")
    sys.exit(main(sys.argv[1:]))
