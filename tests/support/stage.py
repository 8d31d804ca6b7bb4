"""Where drift is tried out: a pretend host with a daemon, and bystanders that nothing of it may touch.

One stage serves many cases in turn: each brings its file, and takes it away at the end. Bystanders are a lab of netd's
own with pings in it, and things of others.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.host import ROOT, Host
from tests.support.journal import Journal
from tests.support.picture import Picture, differences, picture
from tests.support.process import Daemon, Process

#: A lab that nobody breaks.
BYSTANDERS = """
[bridge.by-br]

[namespace.by1.veth.eth0]
addresses = ["10.250.0.1/24", "fd50::1/64"]
gateway = "10.250.0.254"
nodad = true
peer = { name = "by-port1", master = "by-br" }

[namespace.by2.veth.eth0]
addresses = ["10.250.0.2/24", "fd50::2/64"]
nodad = true
peer = { name = "by-port2", master = "by-br" }

[[namespace.by1.nat.masquerade]]
source = "10.250.7.0/24"
out = "eth0"

[namespace.by1.sysctl]
net.ipv4.conf.eth0.rp_filter = 2
"""

#: Things of others, made before netd comes.
FOREIGN = """
ip netns add foreign
ip link add foreign0 up type veth peer name foreign1
ip link set foreign1 up
ip addr add 10.251.0.1/24 dev foreign0
ip addr add fd51::1/64 dev foreign0 nodad
ip neigh add 10.251.0.2 lladdr 02:00:00:00:51:02 dev foreign0 nud permanent
ip route add 10.252.0.0/24 via 10.251.0.2
ip -6 route add fd52::/64 via fd51::2 dev foreign0
ip route add blackhole 10.253.0.0/24 table 555
ip rule add priority 5000 from 10.251.0.0/24 table 555
ip -6 rule add priority 5000 from fd51::/64 table 555
sysctl -qw net.ipv4.conf.foreign0.rp_filter=2
nft add table ip foreign
"""

#: Counts the bystanders' pings; made in by1.
COUNTER = """
nft add table inet foreign
nft 'add chain inet foreign out { type filter hook output priority 0; }'
nft add rule inet foreign out ip daddr 10.250.0.2 counter
"""


class Stage:
    """``before`` is a script that prepares the host for the cases that need it."""

    def __init__(self, host: Host, before: str = "") -> None:
        self.host = host
        self.before = before
        #: What the daemon prints: its first process.
        self.log = host.logs / f"{host.name}.0.log"
        self.log.touch()
        self.journal = Journal(host.root, self.log)
        #: Something of the last case was left: the next one needs a new stage.
        self.worn = False
        self._counted = 0
        try:
            self._set_up()
        except BaseException:
            self.end()
            raise

    def _set_up(self) -> None:
        host = self.host
        host.sh(FOREIGN + self.before)
        host.write("bystanders.toml", BYSTANDERS)
        self.daemon = start_with_journal(host, self.log)
        host.sh(COUNTER, ns="by1")
        host.ping("10.250.0.2", "fd50::2", ns="by1")
        self.pings = [host.start("ping", "-n", "-q", "-i", "0.02", to, ns="by1") for to in ("10.250.0.2", "fd50::2")]
        self.empty = picture(host)

    def end(self) -> None:
        """Ends everything in it."""
        self.host.end()
        self.journal.close()

    @contextlib.contextmanager
    def lab(self, toml: str) -> Iterator[None]:
        """The file's network stands meanwhile; after it the stage is as it was, or worn out."""
        self.host.write("lab.toml", toml)
        self.ask("reload")
        yield
        self.host.remove("lab.toml")
        self.ask("reload")
        left = picture(self.host).keys() - self.empty.keys()
        links = [name for netns, _, name in (key.partition(":link/") for key in left) if name and not netns]
        namespaces = [key.removeprefix("namespace/") for key in left if key.startswith("namespace/")]
        self.host.sh("\n".join(f"ip netns del {name} || :" for name in namespaces))
        self.host.sh("\n".join(f"ip link del {name} 2>/dev/null || :" for name in links))
        self.worn = picture(self.host) != self.empty

    def ask(self, verb: str) -> Any:
        """Asks the daemon, as ``netd`` does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self.host.root / "run/netd/netd.sock"))
            connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            with connection.makefile("rb") as answer:
                return json.loads(answer.readline())

    def converged(self) -> None:
        """Waits until the daemon calls itself converged."""

        def converged() -> bool:
            status = self.ask("status")
            if status["state"] != "converged":
                raise LookupError(str([each for each in status["objects"] if each["state"] != "ok"]))
            return True

        self.host.until(converged, "netd says converged")

    def as_before(self, before: Picture, loose: set[str], spoilt: str = "") -> None:
        """Waits until everything is as it was: the lab's things, and none of the bystanders touched.

        ``loose``: these were gone, so they may be other ones. ``spoilt``: what the harm does to bystanders, a pattern.
        """
        self.host.until(lambda: self._compared(before, loose, spoilt), "everything is as it was")

    def _compared(self, before: Picture, loose: set[str], spoilt: str = "") -> bool:
        kept = {key: thing for key, thing in before.items() if not (spoilt and re.fullmatch(spoilt, key))}
        found = differences(kept, picture(self.host), loose)
        if found:
            raise LookupError("\n".join(found))
        return True

    def bystanders_undisturbed(self) -> None:
        """Every ping so far was answered, and the counter of others goes on where it was."""
        for ping in self.pings:
            self.host.until(partial(answered, ping), "every ping between bystanders is answered")
        listed = self.host.run("nft", "list", "table", "inet", "foreign", ns="by1")
        counted = int(re.findall(r"packets (\d+)", listed)[0])
        assert counted > self._counted, "a counter of others was reset"
        self._counted = counted


def answered(ping: Process) -> bool:
    """Whether all its packets came back: those that are on their way come soon, those that are lost never."""
    before = len(ping.text())
    ping.signal(signal.SIGQUIT)
    (received, sent), *_ = re.findall(r"(\d+)/(\d+) packets", ping.text()[before:])
    return str(received) == str(sent)


def start_with_journal(host: Host, log: Path) -> Daemon:
    """A daemon whose log goes to the journal: stderr, which is ``log``, is the stream that systemd would have given."""
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(host.root / "run/notify"))
    # The file keeps its inode when it is opened for writing.
    stat = os.stat(log)
    env = {
        "PYTHONPATH": str(ROOT),
        "NOTIFY_SOCKET": "/run/notify",
        "JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}",
    }
    daemon = Daemon(*host.spawn((sys.executable, "-m", "netd", "run"), "", env), notify)
    assert daemon.log == log
    host.processes.append(daemon)
    daemon.wait_ready()
    return daemon
