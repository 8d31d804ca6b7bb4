"""A whole machine with real systemd as its first process, in namespaces of its own over a throw-away overlay.

/etc, /var and the journal survive a reboot, as on a disk; /run, /tmp and every network namespace do not. The kernel,
its clock and its modules are those outside, so loadable modules need a virtual machine instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.process import CommandError, Result, until

HERE = Path(__file__).resolve().parent
#: systemd's "start poweroff.target", systemd(1).
POWER_OFF = signal.SIGRTMIN + 4
#: Seconds that a boot, or a command, may take on a busy machine.
PATIENCE = 180.0
NAMESPACES = ("--pid", "--fork", "--mount", "--net", "--uts", "--ipc", "--kill-child", "--propagation", "private")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """``lower``: root folders that the overlay lies on, the top one first. ``binds``: {inside: outside}, read-only.

    ``disks``: folders inside that are no overlay, because somebody puts overlays of his own on them.
    """

    def __init__(
        self,
        name: str,
        lower: Sequence[Path],
        folder: Path,
        binds: Mapping[str, Path] | None = None,
        disks: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.binds = dict(binds or {}) | {each: self.folder / "disks" / each.strip("/") for each in disks}
        self.lower = lower
        #: The group in every cgroup hierarchy: no other test's machine has it.
        self.group = f"netd-rig-{os.getpid()}-{name}"
        self.pid = 0
        self.process: subprocess.Popen[bytes] | None = None
        for each in ("upper/etc", "upper/var/log/journal", "work", "root"):
            (self.folder / each).mkdir(parents=True)
        for each in disks:
            self.binds[each].mkdir(parents=True)
        (self.folder / "upper/etc/hostname").write_text(f"{name}\n")
        machine_id = hashlib.md5(f"rig {name}".encode(), usedforsecurity=False).hexdigest()
        (self.folder / "upper/etc/machine-id").write_text(f"{machine_id}\n")

    @property
    def root(self) -> Path:
        """Its file system, while it runs."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def disk(self) -> Path:
        """What it has written, while it is down."""
        return self.folder / "upper"

    # Power

    def start(self, wait: bool = True) -> None:
        """Boots; returns once systemd has nothing left to start."""
        lower = ":".join(map(str, self.lower))
        binds = [f"{outside}:{inside}" for inside, outside in self.binds.items()]
        reading, writing = os.pipe()
        argv = [HERE / "join.sh", self.group, "unshare", *NAMESPACES, HERE / "boot.sh", self.folder, lower, *binds]
        with open(self.folder / "console.log", "wb") as console:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec 3>&{writing}; exec "$@"', "bash", *map(str, argv)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, pass_fds=[writing], start_new_session=True,
            )  # fmt: skip
        os.close(writing)
        with open(reading, encoding="ascii") as answer:
            line = answer.readline()
        if not line:
            raise RuntimeError(f"{self.name} did not start:\n{self.console()}")
        self.pid = int(line)
        if wait:
            self.wait_up()

    def wait_up(self) -> str:
        """Until systemd says running or degraded; which of them."""

        def up() -> str:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"{self.name} died while booting:\n{self.console()}")
            said = self.run("systemctl", "is-system-running", "--wait", check=None).stdout.strip()
            return said if said in ("running", "degraded") else ""

        return until(up, f"{self.name} is up", PATIENCE)

    def console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")

    def power_off(self) -> None:
        """systemd stops every unit, and ends."""
        self._end(POWER_OFF)

    def crash(self) -> None:
        """As a power cut: all processes are gone at once."""
        self._end(signal.SIGKILL)

    def reboot(self, *, crash: bool = False) -> None:
        """Down and up again, with the same disk."""
        if crash:
            self.crash()
        else:
            self.power_off()
        self.start()

    def remove(self) -> None:
        """Everything of it."""
        if self.process is not None:
            self.crash()
        shutil.rmtree(self.folder)

    def _end(self, number: int) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        self.process.wait(PATIENCE)
        self.process, self.pid = None, 0
        for hierarchy in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")):
            group = hierarchy / self.group
            folders = [*group.rglob("*/"), group] if group.is_dir() else []
            for each in sorted(folders, key=lambda path: -len(path.parts)):
                with contextlib.suppress(OSError):
                    each.rmdir()

    # Commands

    def inside(self, argv: Sequence[str], ns: str = "") -> list[str]:
        """The command line that runs ``argv`` in this machine, or in one of its named namespaces."""
        into = ["ip", "netns", "exec", ns] if ns else []
        clean = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", f"PATH={PATH}"]
        return ["nsenter", "-t", str(self.pid), "-a", *clean, *into, *argv]

    def run(self, *argv: str, ns: str = "", check: int | None = 0, stdin: str = "") -> Result:
        """Runs a command; another exit status than ``check`` fails (None: any will do)."""
        done = subprocess.run(
            self.inside(argv, ns), input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if check is not None and done.returncode != check:
            said = f"{done.stdout}{done.stderr}"
            raise CommandError(f"on {self.name}: {shlex.join(argv)} ended with {done.returncode}, not {check}\n{said}")
        return Result(done.args, done.returncode, done.stdout, done.stderr)

    def sh(self, text: str, ns: str = "", check: int | None = 0, stdin: str = "") -> Result:
        """Runs a shell script."""
        return self.run("sh", "-ec", text, ns=ns, check=check, stdin=stdin)

    def background(self, *argv: str, ns: str = "") -> subprocess.Popen[str]:
        """Starts a command; its output is the caller's to read."""
        return subprocess.Popen(
            self.inside(argv, ns), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def netd(self, *args: str, check: int | None = 0) -> Result:
        """Runs one netd command."""
        return self.run("netd", *args, check=check)

    def write(self, path: str, text: str) -> None:
        """Writes a file by renaming a hidden one over it."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")
        draft.write_text(text)
        draft.rename(target)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, *fields: str) -> list[dict[str, Any]]:
        """Entries of the journal, oldest first."""
        text = self.run("journalctl", "--no-pager", "-o", "json", *fields, check=None).stdout
        return [json.loads(line) for line in text.splitlines()]


def cable(one: Machine, name: str, other: Machine, peer: str) -> None:
    """Joins two machines that are up; the ends are down, as after plugging."""
    to = ["netns", str(other.pid)]
    subprocess.run(
        ["ip", "link", "add", name, "netns", str(one.pid), "type", "veth", "peer", "name", peer, *to],
        check=True, timeout=PATIENCE,
    )  # fmt: skip


class Ping:
    """A hundred pings a second, from the begin of a ``with`` to its end; ``lost`` afterwards."""

    def __init__(self, machine: Machine, address: str, ns: str = "") -> None:
        self.machine = machine
        self.argv = ("ping", "-n", "-q", "-i", "0.01", "-W", "1", address)
        self.ns = ns
        self.sent = self.lost = -1

    def __enter__(self) -> Ping:
        self.process = self.machine.background(*self.argv, ns=self.ns)
        until(lambda: self.machine.run("pgrep", "-x", "ping").stdout, "the ping runs")
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.run("pkill", "-INT", "-x", "ping", check=None)
        self.said = self.process.communicate(timeout=PATIENCE)[0]
        found = re.search(r"(\d+) packets transmitted, (\d+) received", self.said)
        assert found, self.said
        self.sent, received = map(int, found.groups())
        self.lost = self.sent - received
