"""Runs a command as root under the User-Mode Linux kernel, over the files of this machine: within seconds, and without
emulation. What the command writes is in memory, and gone with it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

KERNEL = "linux.uml"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: The kernel's memory, and how long a command may take, in seconds.
MEMORY = "1G"
DEADLINE = 1800
#: The status where the kernel ended without an answer.
NO_ANSWER = 125


def has_large_state() -> bool:
    """Whether the processor has more registers than this kernel can restore: xstate.c."""
    return "amx_tile" in Path("/proc/cpuinfo").read_text().split()


def run(
    command: Sequence[str], environment: Mapping[str, str], say: Callable[[bytes], object], directory: str = ""
) -> int:
    """Runs it to its end; its exit status. ``say`` gets what it prints, while it runs.

    ``NO_ANSWER``: the kernel did not start, or the command took longer than ``DEADLINE``.
    """
    if shutil.which(KERNEL) is None:
        raise FileNotFoundError(f"there is no {KERNEL}: apt-get install user-mode-linux kmod")
    folder = Path(tempfile.mkdtemp(prefix="netd-uml-"))
    try:
        for script in ("init.sh", "inside.sh"):
            shutil.copy(HERE / script, folder)
        (folder / "init.sh").chmod(0o755)
        (folder / "environment").write_text("".join(f"export {k}={shlex.quote(v)}\n" for k, v in environment.items()))
        (folder / "directory").write_text(directory or os.getcwd())
        (folder / "command").write_text(shlex.join(command))
        (folder / "output").touch()
        _boot(folder, say)
        status = folder / "status"
        if status.exists():
            return int(status.read_text())
        say(b"".join((folder / "console").read_bytes().splitlines(keepends=True)[-20:]))
        return NO_ANSWER
    finally:
        shutil.rmtree(folder)


def _boot(folder: Path, say: Callable[[bytes], object]) -> None:
    more = {}
    if has_large_state():
        more["LD_PRELOAD"] = str(folder / "xstate.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", more["LD_PRELOAD"], HERE / "xstate.c"], check=True)
    argv = [
        KERNEL, f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={folder}/init.sh",
        "con=null", "con0=null,fd:1", "quiet",
    ]  # fmt: skip
    with (folder / "console").open("wb") as console, (folder / "output").open("rb") as output:
        kernel = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=os.environ | more, process_group=0
        )
        timer = threading.Timer(DEADLINE, kernel.kill)
        timer.start()
        try:
            while kernel.poll() is None:
                say(output.read())
                time.sleep(0.05)
            say(output.read())
        finally:
            timer.cancel()
            kernel.kill()
            kernel.wait()


def main(argv: Sequence[str]) -> int:
    """``python -m tests.uml COMMAND [ARGUMENT...]``."""
    if not argv:
        print("usage: python -m tests.uml COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2

    def say(text: bytes) -> None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()

    return run(argv, os.environ, say)
