"""What a daemon costs that has nothing to do: CPU, wake-ups and memory of a minute, and the CPU of one resync.

    python -m bench.idle [N]

The lab is that of ``bench.heal``, with N namespaces (default 1000). The minute lies between two resynces; the pass
is the daemon's own, brought forward (netd.daemon.daemon.RESYNC). The last line is JSON.
"""

from __future__ import annotations

import json
import sys
import time

from bench.harm import toml
from bench.process import cpu, descriptors, resident, woken
from demo import sandbox
from demo.daemon import Daemon

MINUTE = 60.0
#: Seconds from READY to the resync: behind the minute, and time to rest.
PASS = 95.0
#: Seconds from READY to rest: 15 s after a port came up the kernel speaks of it once more.
REST = 20.0


def inside(count: int) -> int:
    """In the pretend host."""
    sandbox.furnish()
    (sandbox.CONFIG / "lab.toml").write_text(toml(count))
    start = f"import netd.daemon.daemon; netd.daemon.daemon.RESYNC = {PASS}; from netd.cli.main import main; main()"
    daemon = Daemon(sandbox.HOME, [sys.executable, "-c", start, "run"])
    pid = daemon.process.pid
    try:
        daemon.wait_ready(120)
        ready = time.monotonic()
        time.sleep(REST)
        found = {"namespaces": count, "RSS at rest, MB": round(resident(pid), 1), "descriptors": descriptors(pid)}
        used, wakes = cpu(pid), woken(pid)
        time.sleep(MINUTE)
        found |= {"CPU of a minute, s": round(cpu(pid) - used, 3), "wake-ups of a minute": woken(pid) - wakes}
        used = cpu(pid)
        time.sleep(max(0.0, ready + PASS + 15 - time.monotonic()))
        found |= {"CPU of a resync, s": round(cpu(pid) - used, 3), "RSS after it, MB": round(resident(pid), 1)}
    finally:
        daemon.stop()
    for name, value in found.items():
        print(f"{name:26}{value:>10}")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(int(sys.argv[2])))
    sys.exit(sandbox.enter("bench.idle", "--inside", *(sys.argv[1:2] or ["1000"])))
