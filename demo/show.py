"""The demonstration: a file, a daemon, traffic, damage, repair."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from demo.daemon import NETD, Daemon, Silence
from demo.sandbox import CONFIG, HOME, TOP

LESSON = TOP / "etc/netd/examples/04-nat.toml"
#: Seconds until the demo counts something as broken: no machine is as busy as that.
PATIENCE = 300.0
#: A namespace that plays the world beyond the host's uplink. It has no route back into the lab.
WORLD = """
ip netns add world
ip link add eth0 type veth peer name eth0 netns world
ip addr add 203.0.113.1/24 dev eth0
ip addr add 2001:db8::1/64 dev eth0 nodad
ip link set eth0 up
ip -n world addr add 203.0.113.9/24 dev eth0
ip -n world addr add 2001:db8::9/64 dev eth0 nodad
ip -n world link set eth0 up
"""
PING = "ip netns exec web ping -n -q -c 1 -W 0.05 203.0.113.9"
UPLINK = "ping -n -q -c 1 -W 0.2 2001:db8::9"
PING6 = "ip netns exec web ping -n -q -c 1 -W 1 2001:db8::9"
SERVE = "import socket; s = socket.create_server(('{}', 80), family=socket.{}); s.accept()[0].sendall(b'hello of web')"
FETCH = "import socket; print(socket.create_connection(('{}', 8083), 120).recv(64).decode())"
#: The host's addresses as the world sees them, and web's addresses behind them.
DOORS = (("203.0.113.1", "AF_INET", "10.4.0.10"), ("2001:db8::1", "AF_INET6", "fd00:4::10"))


class Break(NamedTuple):
    """Damage: a description, and the command that causes it."""

    what: str
    command: str


BREAKS = (
    Break("someone deletes the gateway's address", "ip addr del 10.4.0.1/24 dev br-lab"),
    Break("someone deletes the veth pair, and with it web's address and routes", "ip link del lab-web"),
    Break("someone removes the veth pair from the bridge", "ip link set lab-web nomaster"),
    Break("someone flushes the firewall rules, including NAT", "nft flush ruleset"),
    Break("someone turns routing off", "sysctl -q -w net.ipv4.ip_forward=0"),
    Break("someone deletes the whole namespace", "ip netns del web"),
    Break("someone deletes the bridge", "ip link del br-lab"),
)
#: Commands for whoever wants it on a machine of his own.
NEXT = (
    ("make demo D=-v", "the same with netd's log; D=--step waits before each break"),
    ("make install && systemctl enable --now netd", "install netd on this machine"),
    ("cp etc/netd/examples/01-pair.toml /etc/netd/", "the first lab: netd builds it at once"),
    ("netd status", "what is up, and what is not, and why"),
    ("rm /etc/netd/01-pair.toml", "and it is gone again"),
)


def works(command: str) -> bool:
    """Whether a command ends with status 0."""
    return subprocess.run(shlex.split(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def until(probe: Callable[[], bool]) -> float | None:
    """Seconds until the probe succeeds; None if it does not within PATIENCE."""
    start = time.monotonic()
    while not probe():
        if time.monotonic() - start > PATIENCE:
            return None
        time.sleep(0.001)
    return time.monotonic() - start


class Show:
    """Runs the demonstration on stdout and remembers the failures.

    ``verbose``: also netd's log. ``step``: waits for Enter before each break.
    """

    def __init__(self, *, verbose: bool = False, step: bool = False) -> None:
        self.failures: list[str] = []
        self.repairs: list[tuple[Break, float | None]] = []
        self.verbose, self.step = verbose, step
        self.bold, self.dim, self.plain = ("\033[1m", "\033[2m", "\033[0m") if has_color() else ("", "", "")

    def run(self) -> int:
        """Runs all parts; returns the exit status."""
        subprocess.run(["sh", "-ec", WORLD], check=True)
        until(lambda: works(UPLINK))  # IPv6 needs up to a second to use a new veth pair
        self.title("The lab: one file in /etc/netd (example 04-nat, without its comments)")
        self.quote(self.write_lab())
        daemon = Daemon(HOME)
        try:
            self.first_act(daemon)
            self.title("Somebody breaks it, again and again; netd repairs it")
            for damage in BREAKS:
                self.heal(daemon, damage)
            self.last_act(daemon)
        except Silence as silence:
            self.check("netd answers", False)
            self.quote(str(silence).splitlines())
        finally:
            if daemon.process.poll() is None:
                daemon.stop()
        return self.verdict()

    def write_lab(self) -> list[str]:
        """Copies the example to /etc/netd; returns its lines without comments."""
        text = LESSON.read_text()
        (CONFIG / "lab.toml").write_text(text)
        lines = [line.split(" #")[0].rstrip() for line in text.splitlines() if not line.startswith("#")]
        return [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]

    def first_act(self, daemon: Daemon) -> None:
        """Starts the daemon, and proves that the lab works."""
        self.title("netd builds it")
        start = time.monotonic()
        daemon.wait_ready()
        took = milliseconds(time.monotonic() - start)
        print(f"   ready after {took}, including the start of Python: {daemon.status}")
        self.log(daemon)
        self.traffic()

    def traffic(self) -> None:
        """Outgoing traffic through masquerade, incoming through the port, in both address families."""
        outside = "web reaches the world at 203.0.113.9, through the host's address"
        self.check(outside, until(lambda: works(PING)) is not None)
        self.check("web reaches the world at 2001:db8::9", until(lambda: works(PING6)) is not None)
        for host, family, address in DOORS:
            self.check(
                f"the world reaches port 80 of web through port 8083 of {host}", self.fetch(host, family, address)
            )

    def fetch(self, host: str, family: str, address: str) -> bool:
        """Starts a server in web and a client in the world; whether the client gets the greeting."""
        inside, outside = ["ip", "netns", "exec", "web"], ["ip", "netns", "exec", "world"]
        server = subprocess.Popen([*inside, sys.executable, "-c", SERVE.format(address, family)])
        try:
            listening = until(lambda: b":80" in subprocess.check_output([*inside, "ss", "-Hltn", "sport", "=", ":80"]))
            client = subprocess.run(
                [*outside, sys.executable, "-c", FETCH.format(host)], capture_output=True, text=True, check=False
            )
            return listening is not None and client.stdout.strip() == "hello of web"
        finally:
            server.kill()
            server.wait()

    def heal(self, daemon: Daemon, damage: Break) -> None:
        """Causes one damage; waits until traffic works, then until ``netd diff`` finds no difference. One line."""
        if self.step:
            input(f"\n   Enter: {damage.what}  # {damage.command} ")
        daemon.discard_notifications()
        daemon.new_lines()
        subprocess.run(shlex.split(damage.command), check=True)
        start = time.monotonic()
        healed = until(lambda: works(PING))
        took = time.monotonic() - start if healed is not None else None
        in_sync = until(lambda: subprocess.run([*NETD, "diff"], cwd=TOP, capture_output=True).returncode == 0)
        self.repairs.append((damage, took))
        repaired = f": repaired after {milliseconds(took)}" if took is not None else ""
        self.check(f"{damage.what} {self.dim}({damage.command}){self.plain}{repaired}", took is not None)
        self.log(daemon)
        if in_sync is None:
            self.check("netd diff: in sync", False)

    def last_act(self, daemon: Daemon) -> None:
        """Everything works, and continues to work without the daemon."""
        self.title("After all repairs")
        self.traffic()
        self.check("netd stops cleanly", daemon.stop() == 0)
        self.check("the network works without the daemon", until(lambda: works(PING)) is not None)

    def check(self, what: str, good: bool) -> None:
        """Prints one result."""
        print(f"   {'ok  ' if good else 'FAIL'} {what}", flush=True)
        if not good:
            self.failures.append(what)

    def title(self, text: str) -> None:
        print(f"\n{self.bold}== {text}{self.plain}", flush=True)

    def log(self, daemon: Daemon) -> None:
        """What netd logged since the last call, where it is wanted."""
        lines = daemon.new_lines()
        if self.verbose:
            self.quote(lines)

    def quote(self, lines: list[str]) -> None:
        for line in lines:
            print(f"   {self.dim}| {line}{self.plain}")

    def verdict(self) -> int:
        """Prints the closing table; returns the exit status."""
        if self.failures:
            print(f"\n{self.bold}{len(self.failures)} did not work: {'; '.join(self.failures)}{self.plain}")
            return 1
        self.title("Repairs: from the end of the command that broke it to the next packet")
        for damage, took in self.repairs:
            print(f"   {milliseconds(took or 0.0):>8}  {damage.what}")
        self.title("What to do next")
        width = max(len(command) for command, _ in NEXT)
        for command, what in NEXT:
            print(f"   {command.ljust(width)}  {self.dim}# {what}{self.plain}")
        print(f"\n{self.bold}Everything healed.{self.plain} The pretend host ends now and leaves nothing behind.")
        return 0


def milliseconds(seconds: float) -> str:
    """ "12 ms"."""
    return f"{1000 * seconds:.0f} ms"


def has_color() -> bool:
    """Whether the terminal may show colors (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
