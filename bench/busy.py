"""How long a repair takes while the daemon is busy: a build, a removal, storms of routes, of nftables, of questions.

    python -m bench.busy [ROW]

Sixty namespaces as in ``bench.heal`` are broken one after the other (an address, and with it a default route) while
something else goes on (``bench.storms``, which has the numbers that the environment can change). ROW: how the names of
the rows begin. The last line is JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

from bench.ear import Ear
from bench.harm import Lab, Row, rows, toml
from bench.heal import EACH, centile, sample
from bench.storms import STORMS, Asker, Storm, forever
from demo import sandbox
from demo.daemon import Daemon
from netd.report.status import STATE_DIR, ask

VICTIMS = 60
#: Samples beside what does not end by itself; seconds between two.
SAMPLES, REST = 150, 0.02


def converged(daemon: Daemon) -> None:
    """Waits until the daemon has nothing to do."""
    while ask(STATE_DIR, {"verb": "status"}, 120)["state"] != "converged":
        daemon.discard_notifications()
        time.sleep(0.2)


def measure(lab: Lab, storm: Storm, row: Row) -> dict[str, list[float]]:
    """Seconds of each repair, and of each answer, with a daemon of its own: budgets of repairs must last."""
    (sandbox.HOME / "notify").unlink(missing_ok=True)
    daemon = Daemon(sandbox.HOME)
    healed: list[float] = []
    asker = Asker(time.perf_counter)
    try:
        daemon.wait_ready(300)
        with contextlib.closing(Ear()) as ear, storm(lab, lambda: converged(daemon)) as over:
            asker.start()
            most = SAMPLES if over is forever else EACH * VICTIMS
            while len(healed) < most and not over():
                n = len(healed) * 7 % VICTIMS
                daemon.discard_notifications()
                while not lab.whole(n):
                    time.sleep(0.001)
                healed.append(sample(lab, ear, row, n))
                time.sleep(REST)
            asker.end()
    finally:
        daemon.stop()
    return {"healed": healed, "answered": asker.seconds, "silent": [float(asker.silent)]}


def inside(wanted: str) -> int:
    """In the pretend host: measures the rows whose names begin so."""
    sandbox.furnish()
    (sandbox.CONFIG / "lab.toml").write_text(toml(VICTIMS))
    lab = Lab(VICTIMS)
    row = rows(lab)["address with its default route"]
    found = {name: measure(lab, storm, row) for name, storm in STORMS.items() if name.startswith(wanted)}
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(found))
    return 0


def told(values: list[float]) -> str:
    """Median, 99th centile and maximum, in milliseconds."""
    return " / ".join(
        f"{1000 * value:.1f}" for value in (statistics.median(values), centile(values, 0.99), max(values))
    )


def show(found: dict[str, dict[str, list[float]]]) -> None:
    """The table."""
    print(f"{'ms, p50 / p99 / max, while ...':44}{'samples':>8}{'a repair':>26}{'status':>26}{'no answer':>11}")
    for name, of in found.items():
        healed, answered = of["healed"], of["answered"] or [0.0]
        print(f"{name:44}{len(healed):8}{told(healed):>26}{told(answered):>26}{int(of['silent'][0]):11}")
    print(json.dumps(found))


def main(arguments: list[str]) -> int:
    """``[ROW]``; ``--inside ROW``: in the pretend host."""
    if arguments[:1] == ["--inside"]:
        return inside(arguments[1])
    result = Path(os.environ.setdefault("BENCH_RESULT", f"/tmp/netd-bench-{os.getpid()}"))
    try:
        if sandbox.enter("bench.busy", "--inside", arguments[0] if arguments else "") != 0:
            raise SystemExit("bench: not healed")
        show(json.loads(result.read_text()))
    finally:
        result.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("bench: this makes network namespaces: run it as root")
    sys.exit(main(sys.argv[1:]))
