"""What a process has cost so far, from proc(5)."""

from __future__ import annotations

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds of CPU, in user space and kernel (stat: utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def woken(pid: int) -> int:
    """How often its threads went to sleep so far, and so were woken."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        found += sum(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("voluntary"))
    return found


def resident(pid: int) -> float:
    """MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def descriptors(pid: int) -> int:
    """How many it holds open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
