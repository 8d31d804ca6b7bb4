"""A user of the machine without any rights: nobody, where it helps him in namespaces of his own."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.host import Host
from tests.support.process import Process, until

HERE = Path(__file__).resolve().parent


class User:
    """Commands of nobody in a pretend host. ``group``: he is a member of it, besides."""

    def __init__(self, host: Host, group: int | None = None) -> None:
        self.host = host
        groups = "--clear-groups" if group is None else f"--groups={group}"
        self._as = ("setpriv", "--reuid=65534", "--regid=65534", groups, "--no-new-privs")

    def start(self, *argv: str) -> Process:
        """In the background."""
        return self.host.start(*self._as, *argv)

    def python(self, text: str, *args: str) -> Process:
        """A Python program in the background; it has done its work once it prints "ready"."""
        process = self.start(sys.executable, "-SEuc", text, *args)
        until(lambda: "ready" in process.text(), "the program has done its work")
        return process

    def container(self) -> Process:
        """A process in user and network namespaces of his own, where he may do as root does; ``inside`` works there."""
        process = self.start("unshare", "-Urn", "sh", "-c", "echo ready; exec sleep infinity")
        until(lambda: "ready" in process.text(), "his namespace is there")
        return process


def number(host: Host, process: Process) -> int:
    """The process id of a process as its pretend host counts."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])


def inside(host: Host, container: int, text: str, check: int | None = 0) -> str:
    """Runs a shell script in the network of a process, given by its number in the pretend host."""
    return host.run("nsenter", "-t", str(container), "-n", "--", "sh", "-ec", text, check=check)
