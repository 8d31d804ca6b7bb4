"""A pretend host whose daemons are units: a machine with systemd, where ``netd run`` has the sandbox of netd.service.

What a command line runs (apply, diff, check ...) is not in the sandbox, as on a real machine.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.rig.machine import Machine
from tests.support.host import ROOT, Host
from tests.support.process import Daemon, Result, until

#: Where the machine has this tree, for the sandbox to see.
SOURCE = "/opt/source"
#: What the scenarios do themselves: to start, to restart, and to be told.
OWN = ("Type", "NotifyAccess", "Exec", "Restart", "Timeout", "WatchdogSec")


def properties() -> list[str]:
    """The [Service] section of the unit as options of systemd-run(1)."""
    section, found = "", []
    for line in (ROOT / "units/netd.service").read_text().splitlines():
        section = line if line.startswith("[") else section
        if section == "[Service]" and "=" in line and not line.startswith(("#", *OWN)):
            found += ["-p", line]
    return found


class UnitDaemon(Daemon):
    """A daemon that process 1 of the machine has started; ``popen`` is the systemd-run that waits for it."""

    def __init__(
        self, popen: subprocess.Popen[bytes], log: Path, notify: socket.socket, unit: str, machine: Machine
    ) -> None:
        super().__init__(popen, log, notify)
        self.unit = unit
        self.machine = machine

    @property
    def pid(self) -> int:
        inner = until(lambda: int(self.machine.show(self.unit, "MainPID")), "the unit runs")
        own = os.readlink(f"/proc/{self.machine.pid}/ns/pid")
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns/pid") == own and f"\t{inner}\n" in nspid(entry / "status"):
                    return int(entry.name)
            except OSError:
                continue
        raise ProcessLookupError(self.unit)

    def reap(self) -> None:
        """systemd reaps it."""

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


def nspid(status: Path) -> str:
    """The line of a process's numbers in each of its pid namespaces, up to the newline."""
    return next(line for line in status.read_text().splitlines(keepends=True) if line.startswith("NSpid:"))


class UnitHost(Host):
    """The interface of a pretend host, on a machine that is up."""

    def __init__(self, machine: Machine, logs: Path) -> None:
        self.machine = machine
        self.name = machine.name
        self.logs = logs
        self.processes = []
        self.pid = machine.pid
        self.root = machine.root

    def end(self) -> None:
        self.machine.remove()
        for process in self.processes:
            process.popen.wait(30)
            if isinstance(process, Daemon):
                process.notify.close()

    def inside(self, argv: Sequence[str], ns: str = "") -> list[str]:
        into = ["ip", "netns", "exec", ns] if ns else []
        return ["nsenter", "-t", str(self.pid), "-a", "--", *into, *argv]

    def netd(self, *args: str, check: int | None = 0) -> Result:
        return self.result("/usr/bin/netd", *args, check=check)

    def netd_as(self, before: Sequence[str], *args: str, env: Mapping[str, str] | None = None) -> Result:
        return self.result(*before, "/usr/bin/netd", *args, env=env)

    def daemon(
        self, *args: str, wait: bool = True, module: str = "netd", env: Mapping[str, str] | None = None
    ) -> Daemon:
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        number = len(self.processes)
        unit = f"netd-{number}.service"
        notify.bind(str(self.root / f"run/notify.{number}"))
        run = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--unit={unit}", "-p", "Type=exec"]
        told = [f"--setenv=NOTIFY_SOCKET=/run/notify.{number}"]
        told += [f"--setenv={name}={value}" for name, value in (env or {}).items()]
        netd = ["/usr/bin/netd"]
        if module != "netd":
            netd = ["/usr/bin/env", f"PYTHONPATH={SOURCE}", "/usr/lib/netd/bin/python", "-m", module]
        popen, log = self.spawn([*run, *told, *properties(), *netd, "run", "--host-mounts", *args], "", {})
        daemon = UnitDaemon(popen, log, notify, unit, self.machine)
        self.processes.append(daemon)
        if wait:
            daemon.wait_ready()
        return daemon
