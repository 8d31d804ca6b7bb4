"""A pretend host: network, mount, pid and uts namespaces of its own, thrown away with everything that runs in them.

Nothing of the machine is touched: /run, /etc/netd, /var/lib and /proc/sys/net are the pretend host's. Its first
process waits on a pipe from the test; when the test ends, or dies, the kernel ends every process in it.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.process import DEADLINE, CommandError, Daemon, Process, Result, T, until
from tests.support.snapshot import FALLBACKS

ROOT = Path(__file__).resolve().parents[2]
ECHO = Path(__file__).resolve().parent / "echo.py"

#: Runs as PID 1: the real /proc is still there in the first line, and says the pid as others see it.
FIRST = """
set -e
read -r pid rest < /proc/self/stat
mount -t proc proc /proc
mount -t sysfs sysfs /sys 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/etc
mount --bind /etc /run/etc
mount -t tmpfs -o mode=755 tmpfs /etc
ln -s /run/etc/* /etc/
rm -f /etc/netd
mkdir /etc/netd
mount -t tmpfs -o mode=755 tmpfs /var/lib
hostname "$1"
ip link set lo up
trap '' CHLD
echo "$pid"
exec cat
"""


class Host:
    """One pretend host. ``ns`` in its methods is one of its named namespaces; left out, it is the host itself."""

    def __init__(self, name: str, logs: Path) -> None:
        self.name = name
        self.logs = logs
        self.processes: list[Process] = []
        self.first = subprocess.Popen(
            ["unshare", "-n", "-m", "-p", "-u", "--fork", "--kill-child", "sh", "-c", FIRST, "sh", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.first.stdout is not None
        answer = self.first.stdout.readline()
        if not answer:
            raise RuntimeError(f"the pretend host did not start: unshare ended with {self.first.wait()}")
        self.pid = int(answer)
        self.root = Path(f"/proc/{self.pid}/root")

    def end(self) -> None:
        """Ends all that runs in it; the kernel takes the rest away."""
        assert self.first.stdin is not None and self.first.stdout is not None
        self.first.stdin.close()
        for process in self.processes:
            process.reap()
        until(self._ended, "the pretend host has ended")
        self.first.stdout.close()
        for process in self.processes:
            process.wait()
            if isinstance(process, Daemon):
                process.notify.close()

    def _ended(self) -> bool:
        for process in self.processes:
            process.reap()
        return self.first.poll() is not None

    # Commands

    def inside(self, argv: Sequence[str], ns: str = "") -> list[str]:
        """The command line that runs ``argv`` in this host."""
        into = ["ip", "netns", "exec", ns] if ns else []
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", "-u", "-r", "--", *into, *argv]

    def run(
        self,
        *argv: str,
        ns: str = "",
        check: int | None = 0,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Runs a command and returns what it prints; another exit status than ``check`` fails (None: any will do)."""
        return self.result(*argv, ns=ns, check=check, stdin=stdin, env=env).stdout

    def result(
        self,
        *argv: str,
        ns: str = "",
        check: int | None = None,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Runs a command: its status, stdout and stderr."""
        done = subprocess.run(
            self.inside(argv, ns),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            timeout=DEADLINE * 4,
            cwd="/",
        )
        if check is not None and done.returncode != check:
            where = f"{self.name}:{ns}" if ns else self.name
            raise CommandError(
                f"on {where}: {shlex.join(argv)} ended with {done.returncode}, not {check}\n{done.stdout}{done.stderr}"
            )
        return Result(done.args, done.returncode, done.stdout, done.stderr)

    def sh(self, text: str, ns: str = "", check: int | None = 0) -> str:
        """Runs a shell script."""
        return self.run("sh", "-ec", textwrap.dedent(text), ns=ns, check=check)

    def json(self, *argv: str, ns: str = "") -> Any:
        """What a command prints as JSON."""
        return self.result(*argv, ns=ns, check=0).json

    def start(self, *argv: str, ns: str = "", env: Mapping[str, str] | None = None) -> Process:
        """Starts a command in the background."""
        process = Process(*self.spawn(argv, ns, env or {}))
        self.processes.append(process)
        return process

    def spawn(self, argv: Sequence[str], ns: str, env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.logs / f"{self.name}.{len(self.processes)}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                self.inside(argv, ns),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                cwd="/",
            )
        return popen, log

    # netd

    def netd(self, *args: str, check: int | None = 0) -> Result:
        """Runs one netd command."""
        return self.result(sys.executable, "-m", "netd", *args, check=check, env={"PYTHONPATH": str(ROOT)})

    def netd_start(self, *args: str) -> Process:
        """Starts one netd command in the background."""
        return self.start(sys.executable, "-m", "netd", *args, env={"PYTHONPATH": str(ROOT)})

    def netd_as(self, before: Sequence[str], *args: str, env: Mapping[str, str] | None = None) -> Result:
        """Runs one netd command behind another: ``setpriv`` for less rights, ``strace`` to watch it."""
        return self.result(*before, sys.executable, "-m", "netd", *args, env={"PYTHONPATH": str(ROOT), **(env or {})})

    def apply(self, *args: str) -> Any:
        """``netd apply``, which must converge; its report."""
        return self.netd("apply", "--json", *args).json

    def daemon(
        self, *args: str, wait: bool = True, module: str = "netd", env: Mapping[str, str] | None = None
    ) -> Daemon:
        """Starts ``netd run`` and waits until it is ready; ``module`` is what Python runs for it."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"notify.{len(self.processes)}"
        notify.bind(str(self.root / "run" / name))
        env = {"PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": f"/run/{name}", **(env or {})}
        daemon = Daemon(*self.spawn((sys.executable, "-m", module, "run", *args), "", env), notify)
        self.processes.append(daemon)
        if wait:
            daemon.wait_ready()
        return daemon

    def status(self) -> Any:
        """What ``netd status --json`` says."""
        return json.loads(self.netd("status", "--json", check=None).stdout)

    def state(self, name: str) -> str:
        """The state of one object, by its name; "" where there is none of that name."""
        return next((each["state"] for each in self.status()["objects"] if each["object"] == name), "")

    def converged(self) -> None:
        """Waits until the daemon calls itself converged."""
        self.until(lambda: self.status()["state"] == "converged", "netd status says converged")

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Waits for something; what the daemons of this host logged is shown where it never comes."""
        try:
            return until(condition, f"{what} ({self.name})")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def story(self) -> str:
        """The end of every log."""
        return "\n".join(
            f"--- {each.log.name}: {shlex.join(map(str, each.popen.args))}\n{each.text()[-6000:]}"  # type: ignore[arg-type]
            for each in self.processes
        )

    # Files

    def file(self, path: str) -> Path:
        """A path in this host, as the test can open it; a relative one is meant in /etc/netd."""
        return self.root / ("etc/netd" if not path.startswith("/") else "") / path.lstrip("/")

    def kept(self) -> dict[str, list[str] | None]:
        """What is in the folders that netd writes to; None: there is no such folder."""
        folders = {path: self.file(path) for path in ("/run/netd", "/var/lib/netd")}
        return {path: sorted(os.listdir(folder)) if folder.exists() else None for path, folder in folders.items()}

    def write(self, path: str, text: str, atomic: bool = True) -> None:
        """Writes a file: by renaming a hidden one over it, or as a shell's ``>`` does."""
        target = self.file(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not atomic:
            target.write_text(textwrap.dedent(text))
            return
        draft = target.with_name(f".{target.name}.new")
        draft.write_text(textwrap.dedent(text))
        draft.rename(target)

    def remove(self, path: str) -> None:
        self.file(path).unlink()

    def rename(self, old: str, new: str) -> None:
        self.file(old).rename(self.file(new))

    # The kernel's side

    def link(self, name: str, ns: str = "") -> Any:
        """A link as ``ip -d`` sees it; None where there is none."""
        return next((each for each in self.links(ns) if each["ifname"] == name), None)

    def links(self, ns: str = "") -> Any:
        return self.json("ip", "-j", "-d", *(("-n", ns) if ns else ()), "link")

    def names(self, ns: str = "") -> set[str]:
        """The names of all links, aside from ``lo`` and from what a module of tunnels brings along."""
        return {each["ifname"] for each in self.links(ns)} - FALLBACKS - {"lo"}

    def addresses(self, dev: str, ns: str = "") -> set[str]:
        """The addresses of one link, the kernel's link-local ones aside."""
        found = self.json("ip", "-j", *(("-n", ns) if ns else ()), "addr", "show", "dev", dev)
        infos = [info for each in found for info in each.get("addr_info", []) if info["scope"] != "link"]
        return {f"{info['local']}/{info['prefixlen']}" for info in infos}

    def routes(self, *which: str, ns: str = "") -> Any:
        """Routes of both families; ``which`` narrows them as ``ip route show`` understands it."""
        begin = ["ip", "-j", *(("-n", ns) if ns else ())]
        done = [self.result(*begin, family, "route", "show", *which) for family in ("-4", "-6")]
        return [route for each in done if each.returncode == 0 for route in each.json]

    def namespaces(self) -> set[str]:
        return {each["name"] for each in self.json("ip", "-j", "netns")}

    def sysctl(self, key: str, ns: str = "") -> str:
        return " ".join(self.run("sysctl", "-n", key, ns=ns).split())

    def nft(self, ns: str = "") -> list[Any]:
        """The whole ruleset, object by object."""
        listed: list[Any] = self.json("nft", "-j", "list", "ruleset", ns=ns)["nftables"]
        return [each for each in listed if "metainfo" not in each]

    # Traffic

    def cable(self, other: Host, here: str = "eth0", there: str = "eth0") -> None:
        """A cable between two pretend hosts; both ends are up."""
        end = ["nsenter", "-t", str(self.pid), "-n", "--", "ip", "link", "add", here, "type", "veth"]
        subprocess.run([*end, "peer", "name", there, "netns", str(other.pid)], check=True)
        self.run("ip", "link", "set", here, "up")
        other.run("ip", "link", "set", there, "up")

    def address(self, dev: str, *addresses: str, ns: str = "") -> None:
        """Gives a link addresses that work at once."""
        for each in addresses:
            self.run("ip", "addr", "add", each, "dev", dev, *(("nodad",) if ":" in each else ()), ns=ns)

    def ping(self, *addresses: str, ns: str = "", size: int = 56) -> None:
        """Waits until every address answers."""
        for address in addresses:
            self.until(partial(self.pings, address, ns, size), f"{address} answers {ns or 'the host'}")

    def pings(self, address: str, ns: str = "", size: int = 56) -> bool:
        """Whether one ping is answered within a second."""
        argv = ("ping", "-n", "-c", "1", "-W", "1", "-s", str(size), address)
        return self.result(*argv, ns=ns).returncode == 0

    def serve(self, name: str, *ports: int, ns: str = "") -> Process:
        """Answers on TCP and UDP ports, in both families, with its name, the client's address, and the port."""
        server = self.start(sys.executable, "-SE", str(ECHO), "serve", name, *map(str, ports), ns=ns)
        until(lambda: "ready" in server.text(), f"{name} listens")
        return server

    def ask(self, address: str, port: int, protocol: str = "tcp", ns: str = "") -> list[str]:
        """What a server answers: [its name, the address it saw, the port it was reached at]."""
        return until(lambda: self.asks(address, port, protocol, ns), f"{address} port {port} answers {ns or self.name}")

    def asks(self, address: str, port: int, protocol: str = "tcp", ns: str = "") -> list[str]:
        """One attempt; [] where nobody answers within a second."""
        argv = (sys.executable, "-SE", str(ECHO), "ask", protocol, address, str(port))
        done = self.result(*argv, ns=ns)
        return done.stdout.split() if done.returncode == 0 else []
