"""Who builds the lab, and how long each thing takes him. Each side runs in a pretend host of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.process import cpu, descriptors, resident
from demo import sandbox
from demo.daemon import NETD, Daemon
from netd.errors import KernelError
from netd.kernel.kernel import Kernel

from . import floor, lab

#: {what was measured: seconds, or what its name says}
Figures = dict[str, float]
EXTRA = '[namespace.extra.veth.eth0]\naddresses = ["10.201.0.{}/24"]\npeer = {{ name = "vx" }}\n'
NEW_ADDRESS = "10.200.0.1"
#: Seconds from READY to the daemon's resync, beyond all that is measured before.
PASS = 4.0
PATIENCE = 300.0


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def run(*argv: str | Path) -> None:
    """Silently; SystemExit with the last words of what fails."""
    done = subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"bench: {' '.join(map(str, argv))}: {done.stderr[-500:]}")


def wait_for(condition: Callable[[], bool]) -> None:
    """Looks every half millisecond."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("bench: it never came true")
        time.sleep(0.0005)


def has_address(count: int, address: str) -> bool:
    """Whether the last namespace has it."""
    try:
        with kernel().open(f"n{count}") as session:
            link = session.link_named("eth0")
            return link is not None and any(
                one.address.startswith(f"{address}/") for one in session.addresses(link.index)
            )
    except KernelError:
        return False


_kernel: list[Kernel] = []


def kernel() -> Kernel:
    """The reader of this process."""
    if not _kernel:
        _kernel.append(Kernel())
    return _kernel[0]


def ask(verb: str) -> dict[str, object]:
    """Asks the daemon, as ``netd`` does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("/run/netd/netd.sock")
        connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
        with connection.makefile() as answer:
            found: dict[str, object] = json.loads(answer.readline())
            return found


def built(status: str, count: int) -> bool:
    """Whether a STATUS ("1402 ok") speaks of the whole lab, and of no trouble."""
    found = re.match(r"(\d+) ok", status)
    return found is not None and int(found[1]) >= lab.OBJECTS * count + lab.HOST_OBJECTS and "," not in status


def build_by(daemon: Daemon, count: int, text: str) -> float:
    """From the rename into the directory to the daemon's word that all is verified."""
    draft = sandbox.CONFIG.parent / "lab.draft"  # same file system: a rename is at once
    draft.write_text(text)
    daemon.discard_notifications()
    start = time.perf_counter()
    draft.rename(sandbox.CONFIG / "lab.toml")
    while not built(daemon.status, count):
        daemon.heard(time.monotonic() + PATIENCE)
    return time.perf_counter() - start


def daemon_side(count: int) -> Figures:
    """``netd run``."""
    found: Figures = {}
    daemon = Daemon(sandbox.HOME)
    try:
        daemon.wait_ready()
        found["build"] = build_by(daemon, count, lab.toml(count))
        ping(count)
        daemon.discard_notifications()
        draft = sandbox.CONFIG.parent / "lab.draft"
        draft.write_text(lab.toml(count, last=NEW_ADDRESS))
        start = time.perf_counter()
        draft.rename(sandbox.CONFIG / "lab.toml")
        wait_for(lambda: has_address(count, NEW_ADDRESS))
        found["one change, a file of all"] = time.perf_counter() - start
        time.sleep(1.0)
        daemon.discard_notifications()
        # Beside the big file a small one: a namespace of its own.
        draft.write_text(EXTRA.format(1))
        draft.rename(sandbox.CONFIG / "small.toml")
        wait_for(lambda: os.path.exists("/run/netns/extra"))
        time.sleep(0.5)
        draft.write_text(EXTRA.format(2))
        start = time.perf_counter()
        draft.rename(sandbox.CONFIG / "small.toml")
        wait_for(lambda: extra_has("10.201.0.2"))
        found["one change, a file of its own"] = time.perf_counter() - start
        found["RSS, MB"] = resident(daemon.process.pid)
        found["descriptors"] = descriptors(daemon.process.pid)
    finally:
        daemon.stop()
    return found | restarted(count)


def extra_has(address: str) -> bool:
    try:
        with kernel().open("extra") as session:
            return any(one.address.startswith(f"{address}/") for one in session.addresses(0))
    except KernelError:
        return False


def restarted(count: int) -> Figures:
    """A second daemon on the network that stands; its resync is brought forward."""
    found: Figures = {}
    (sandbox.HOME / "notify").unlink()
    start = (
        # Where the module and the constant are in one of the two versions.
        "try: import netd.daemon.daemon as daemon\nexcept ImportError: import netd.daemon as daemon\n"
        f"daemon.RESYNC = daemon.FULL_PASS = {PASS}\nfrom netd.cli.main import main\nmain()"
    )
    began = time.perf_counter()
    daemon = Daemon(sandbox.HOME, [sys.executable, "-c", start, "run"])
    try:
        daemon.wait_ready(PATIENCE)
        found["start on a standing network"] = time.perf_counter() - began
        time.sleep(PASS / 2)
        before = cpu(daemon.process.pid)
        time.sleep(PASS * 0.5 + 3.0 + count / 250)
        found["resync, CPU"] = cpu(daemon.process.pid) - before
        found["RSS after it, MB"] = resident(daemon.process.pid)
        daemon.discard_notifications()
        for path in sandbox.CONFIG.glob("*.toml"):
            path.unlink()
        began = time.perf_counter()
        ask("reload")
        wait_for(gone)
        found["take down"] = time.perf_counter() - began
    finally:
        daemon.stop()
    return found


def gone() -> bool:
    return not os.listdir("/run/netns") and unplugged()


def apply_side(count: int) -> Figures:
    """netd as a process: ``apply``, ``diff``, ``down``."""
    (sandbox.CONFIG / "lab.toml").write_text(lab.toml(count))
    found = {"build": timed(lambda: run(*NETD, "apply"))}
    ping(count)
    found["nothing to do: diff"] = timed(lambda: run(*NETD, "diff"))
    found["nothing to do: apply"] = timed(lambda: run(*NETD, "apply"))
    found["take down"] = timed(lambda: run(*NETD, "down"))
    wait_for(gone)
    (sandbox.CONFIG / "lab.toml").write_text(lab.one(1))
    found["check of a small file"] = timed(lambda: run(*NETD, "check"))
    found["--help"] = timed(lambda: run(*NETD, "--help"))
    return found


def floor_side(count: int) -> Figures:
    """Raw netlink."""
    found = {"build": timed(lambda: floor.build(count))}
    ping(count)
    return found


def batch_side(count: int) -> Figures:
    """iproute2 at its best: one ``ip -batch`` for the host, one in each namespace."""
    folder = sandbox.HOME
    host, inside = lab.batch(count)
    (folder / "host").write_text("\n".join(host) + "\n")
    for n, lines in inside.items():
        (folder / f"n{n}").write_text("\n".join(lines) + "\n")
    look = [["ip", "-j", "-d", each] for each in ("link", "addr", "route")]

    def build() -> None:
        run("ip", "-batch", folder / "host")
        for n in inside:
            run("ip", "-n", f"n{n}", "-batch", folder / f"n{n}")

    def read() -> None:
        for argv in look:
            run(*argv)
            for n in inside:
                run("ip", "-n", f"n{n}", *argv[1:])

    found = {"build": timed(build)}
    ping(count)
    found["nothing to do: ip -j of all"] = timed(read)
    last = ["ip", "-n", f"n{count}", "addr", "add", f"{NEW_ADDRESS}/16", "dev", "eth0"]
    found["one change, one ip command"] = timed(lambda: run(*last))
    deletions = [f"netns del n{n}" for n in inside] + [f"link del br{n}" for n in lab.bridges(count)]
    (folder / "down").write_text("\n".join(deletions) + "\n")
    began = time.perf_counter()
    run("ip", "-batch", folder / "down")
    found["take down"] = time.perf_counter() - began
    # ``ip`` is back as soon as the names are gone: the kernel takes the ports out of the host behind its back.
    wait_for(unplugged)
    found["take down, last port gone"] = time.perf_counter() - began
    return found


def unplugged() -> bool:
    return not any(name.startswith("v") for _, name in socket.if_nameindex())


def script_side(count: int) -> Figures:
    """A shell script: one command for each thing, sysctls and NAT too."""
    path = sandbox.HOME / "script"
    path.write_text("\n".join(lab.script(count)) + "\n")
    found = {"build": timed(lambda: run("sh", "-e", path))}
    ping(count)
    return found


def ifstate_side(count: int) -> Figures:
    """ifstate, where it is installed."""
    for n in range(1, count + 1):
        run("ip", "netns", "add", f"n{n}")
    path = sandbox.HOME / "ifstate.yml"
    path.write_text(lab.ifstate(count))
    found = {"build": timed(lambda: run("ifstatecli", "-c", path, "apply"))}
    found["nothing to do: ifstate check"] = timed(lambda: run("ifstatecli", "-c", path, "check"))
    return found


def mininet_side(count: int) -> Figures:
    """Mininet's own single topology on a Linux bridge, where it is installed; with its taking down."""
    argv = ("mn", "--topo", f"single,{count}", "--switch", "lxbr", "--controller", "none", "--test", "none")
    return {"build": timed(lambda: run(*argv))}


def ping(count: int) -> None:
    """Proves that the lab carries traffic: from the last namespace to the first of its bridge."""
    first = lab.address(lab.bridge(count) * lab.PORTS + 1)
    run("ip", "netns", "exec", f"n{count}", "ping", "-q", "-c", "1", "-W", "5", first if count > 1 else lab.GATEWAY)


SIDES: Mapping[str, Callable[[int], Figures]] = {
    "netd run": daemon_side,
    "netd apply": apply_side,
    "raw netlink": floor_side,
    "ip -batch": batch_side,
    "one ip per command": script_side,
    "ifstate": ifstate_side,
    "Mininet": mininet_side,
}
#: What is not everywhere, and how many namespaces it is asked for at most (it would take minutes).
OTHERS = {"ifstate": ("ifstatecli", 50), "Mininet": ("mn", 200)}
#: One ``ip`` for each thing takes a minute beyond that.
MOST = {"one ip per command": 200}


def sides(count: int) -> list[str]:
    """Those that can run here."""
    return [
        side
        for side in SIDES
        if count <= MOST.get(side, count)
        and (side not in OTHERS or (shutil.which(OTHERS[side][0]) and count <= OTHERS[side][1]))
    ]
