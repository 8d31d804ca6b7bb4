"""A pretend host: it has its own network, mounts, processes and hostname, and ends with its last process.

The machine's network, /run/netns, /etc/netd and /var/lib/netd are out of reach: their counterparts are in memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
CONFIG = Path("/etc/netd")
#: Files that belong to the pretend host.
HOME = Path("/run/host")

#: /etc consists of symbolic links to the real one, so that the pretend host has its own /etc/netd.
MOUNTS = """
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/host/etc /run/host/cache
mount --bind /etc /run/host/etc
mount -t tmpfs -o mode=755 tmpfs /etc
ln -s /run/host/etc/* /etc/
rm -f /etc/netd
mkdir /etc/netd
hostname lab
ip link set lo up
"""


def enter(module: str, *arguments: str) -> int:
    """Runs ``python -m module arguments`` as the first process of a new pretend host; returns its exit status."""
    command = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    return subprocess.run([*command, sys.executable, "-m", module, *arguments], cwd=TOP).returncode


def furnish() -> None:
    """Inside: creates the default directories of netd, and sets ``lo`` up."""
    subprocess.run(["sh", "-ec", MOUNTS], check=True)
    os.environ["NETD_CACHE_DIR"] = str(HOME / "cache")
