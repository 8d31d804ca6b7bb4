"""A daemon under a seeded hail of drift, edits, kills, stops and overruns, on the real kernel; then it must be whole.

``python -m tests.chaos SECONDS [SEED]``, or ``make chaos``.
"""

from __future__ import annotations

import collections
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.field import stream
from tests.support.host import ROOT, Host
from tests.support.labs import FIREWALL, FIRST, FOREIGN, SECOND
from tests.support.process import Daemon
from tests.support.snapshot import differences
from tests.support.storms import STORMS, StoppableJournal, ask_all_at_once

#: What a netns of ``lab.toml`` says, and what else comes and goes beside it.
LABS = (FIRST, SECOND)
FILES = {
    "b.toml": ("", '[bridge.extra]\naddresses = ["10.66.0.1/24"]\n', "[bridge.extra]\nmtu = 1280\n", "[[[", "mtu = "),
    "c.toml": (
        '[namespace.d.veth.eth0]\naddresses = ["10.1.0.9/24"]\npeer = { name = "port-d", master = "br0" }\n',
        '[namespace.d.veth.eth0]\npeer = { name = "port-d", master = "extra", bridge_port = { isolated = true } }\n',
        "[namespace.d.bridge.br0]\n[namespace.d.sysctl]\nnet.ipv4.ip_forward = 1\n",
        # The address of the first version, with another MAC and at another port.
        '[namespace.e.veth.eth0]\naddresses = ["10.1.0.9/24"]\npeer = { name = "port-e", master = "br0" }\n',
        '[namespace.d.veth.eth0]\naddresses = ["10.1.0.9/24"]\nmac = "02:00:00:00:00:99"\n'
        'peer = { name = "port-d", master = "br0" }\n',
        "nonsense",
    ),
    "d.toml": (
        "",
        '[[nat.dnat]]\nport = 9000\nto = "10.1.0.2:90"\n',
        '[[rule]]\npriority = 2000\nto = "10.6.0.0/16"\n',
        '[[nat.dnat]]\nprotocol = "udp"\nport = 5353\nto = "10.1.0.1:5353"\n',
        '[[nat.dnat]]\nprotocol = "udp"\nport = 5353\nto = "10.1.0.2:5353"\n',
        '[[nat.dnat]]\nprotocol = "udp"\nport = "5353-5354"\nto = "10.1.0.9"\n',
    ),
}
#: What is broken: shell, where {n} is a number. Most of them fail at most times, and that is fine.
DRIFT = (
    "ip link del br0", "ip link del port-a", "ip link del vx0", "ip link del br1", "ip link del extra",
    "ip netns del a", "ip netns del b", "ip netns del c", "ip netns del d",
    "ip -n a link del eth0", "ip -n a link set eth0 down; ip -n a link set eth0 up",
    "ip -n a address flush dev eth0", "ip address del 10.1.0.254/24 dev br0", "ip -n b address flush dev eth0",
    "ip route flush table main proto 110", "ip -n a route flush table main", "ip -6 -n a route flush table main",
    "ip rule del priority 1000", "ip rule add priority 1000 from 10.55.0.0/16 table 9", "ip link set br0 mtu 13{n}",
    "ip link set vx0 mtu 12{n}", "ip link set port-a nomaster", "ip link set port-a master br1", "ip link set br0 down",
    "ip link set port-a down; ip link set port-a name port-z", "ip link set port-z name port-q", "ip link set vx0 down",
    "ip link set br0 address 02:00:00:00:77:{n}", "ip -n a link set eth0 name eth{n}",
    "bridge fdb flush dev vx0", "bridge fdb append 00:00:00:00:00:00 dst 10.230.4.{n} dev vx0",
    "bridge link set dev port-a isolated off cost 7", "ip link set br0 type bridge forward_delay 1{n}",
    "ip neigh flush dev br0", "ip neigh del 10.230.4.9 dev eth0", "ip address del 10.231.0.1/24 dev eth0",
    "sysctl -qw net.ipv4.ip_default_ttl={n}", "sysctl -qw net.ipv4.conf.br0.rp_filter=0",
    "sysctl -qw net.ipv4.conf.eth0.proxy_arp=0", "ip netns exec a sysctl -qw net.ipv4.ip_forward=0",
    "nft flush table inet netd", "nft delete table inet netd", "nft flush chain ip filter FORWARD",
    "nft add rule inet netd postrouting counter", "ip netns exec a nft flush ruleset",
    "ip link add vx0 type bridge", "ip link add br0 type veth peer name junk0", "ip link add port-a type bridge",
    "ip netns add b && ip -n b link add users type bridge", "ip netns add c && ip -n c link add users type bridge",
    "rm -f /run/netns/d", "ip link set br0 group 0",
    "ip -n a link set eth9 netns 1", "ip address flush dev vx0",
)  # fmt: skip
#: Things of others that come and go: none of them is netd's business.
BYSTANDERS = (
    "ip link add by{n} type bridge", "ip link del by{n}", "ip netns add by{n}", "ip netns del by{n}",
    "ip route add 10.77.{n}.0/24 via 10.230.4.5", "ip route del 10.77.{n}.0/24", "ip -n theirs link set br0 up",
)  # fmt: skip
#: A machine that sends to a forwarded port all the time, from one source port.
CLIENT = """
ip netns add client
ip link add client0 type veth peer name eth0 netns client
ip address add 10.232.0.1/24 dev client0; ip link set client0 up
ip -n client address add 10.232.0.2/24 dev eth0; ip -n client link set eth0 up
ip -n client route add default via 10.232.0.1
"""
LOOK = "import json; from tests.support.snapshot import snapshot; from netd.kernel.kernel import Kernel;"
LOOK += "print(json.dumps(snapshot(Kernel()), default=repr))"


#: Ends the daemon: none of these happens in the later part of a run.
DEADLY = frozenset({"kill", "kill_during_a_change", "restart"})


class Chaos:
    """One run. ``counts`` says what happened how often."""

    def __init__(self, host: Host, seed: int) -> None:
        self.host = host
        self.random = random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        host.sh(FOREIGN)
        host.sh(FIREWALL)
        host.sh(CLIENT)
        self.journal = StoppableJournal(host.root)
        stream(host, "10.232.0.1", 5353, ns="client")
        self.foreign = self.look()
        self.daemon: Daemon | None = None
        #: (memory in kB, descriptors) after a while, and at the end.
        self.before: tuple[int, int] | None = None
        self.after: tuple[int, int] | None = None
        self.start()

    def look(self) -> Any:
        """All that the kernel has there."""
        return json.loads(self.host.run(sys.executable, "-c", LOOK, env={"PYTHONPATH": str(ROOT)}))

    def start(self) -> None:
        # Its stderr is the stream that systemd would give it, so it logs to the journal.
        log = self.host.logs / f"{self.host.name}.{len(self.host.processes)}.log"
        log.touch()
        stat = os.stat(log)
        self.daemon = self.host.daemon(env={"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})

    # What happens

    def harm(self) -> None:
        self._shell(self.random.choice(DRIFT))

    def bystander(self) -> None:
        self._shell(self.random.choice(BYSTANDERS))

    def _shell(self, text: str) -> None:
        text = text.replace("{n}", f"{self.random.randrange(10, 80)}")
        self.host.sh(text, check=None)

    def storm(self) -> None:
        """Changes of others, many at once."""
        self.host.sh(self.random.choice(list(STORMS.values())), check=None)

    def questions(self) -> None:
        """Many programs at the status socket."""
        ask_all_at_once(self.host.root / "run/netd/netd.sock")

    def stop_the_journal(self) -> None:
        """Or let it read again."""
        if self.journal.stopped:
            self.journal.go_on()
        else:
            self.journal.stop()

    def edit(self) -> None:
        """Another lab, or another version of one of the files; by a rename, in place, or as an editor does."""
        name = self.random.choice(["lab.toml", *FILES])
        text = self.random.choice(LABS if name == "lab.toml" else FILES[name])
        self.host.write(name, text, atomic=self.random.random() < 0.7)

    def unlink(self) -> None:
        self.host.sh(f"rm -f /etc/netd/{self.random.choice(list(FILES))}")

    def rename(self) -> None:
        self.host.sh("cd /etc/netd; mv c.toml cc.toml || mv cc.toml c.toml", check=None)

    def stop_for_a_while(self) -> None:
        assert self.daemon is not None
        with self.daemon.asleep():
            for _ in range(self.random.randrange(1, 8)):
                self.harm()

    def kill(self) -> None:
        assert self.daemon is not None
        self.daemon.kill()
        for _ in range(self.random.randrange(3)):
            self.harm()
        self.start()

    def kill_during_a_change(self) -> None:
        assert self.daemon is not None
        self.host.write("lab.toml", self.random.choice(LABS))
        time.sleep(self.random.random() * 0.1)
        self.kill()

    def restart(self) -> None:
        assert self.daemon is not None
        status = self.daemon.stop()
        assert status == 0, f"it ended with {status}"
        self.start()

    def overrun(self) -> None:
        """More events than the 64 MiB of the event socket hold (2.3 kB each)."""
        assert self.daemon is not None
        batch = "".join(f"link set by0 alias x{n}\n" for n in range(30000))
        self.host.sh("ip link add by0 type bridge", check=None)
        with self.daemon.asleep():
            self.host.run("ip", "-force", "-batch", "-", stdin=batch, check=None)
            self.harm()

    def run(self, seconds: float) -> None:
        """Until the time is over; the later two thirds without a kill: what grows has time to."""
        self.host.write("lab.toml", FIRST)
        begin = time.monotonic()
        kinds: dict[Callable[[], None], float] = {
            self.harm: 60, self.bystander: 6, self.edit: 12, self.unlink: 3, self.rename: 2, self.stop_for_a_while: 4,
            self.storm: 4, self.questions: 3, self.stop_the_journal: 4,
            self.overrun: 0.3, self.kill: 1.5, self.kill_during_a_change: 3, self.restart: 0.7,
        }  # fmt: skip
        calm = {kind: often for kind, often in kinds.items() if kind.__name__ not in DEADLY}
        assert self.daemon is not None
        while (spent := (time.monotonic() - begin) / seconds) < 1:
            if spent > 1 / 3 and kinds != calm:
                kinds = calm
            if spent > 2 / 3 and self.before is None:
                self.before = usage(self.daemon.pid)
            (what,) = self.random.choices(list(kinds), list(kinds.values()))
            what()
            self.counts[what.__name__] += 1
            assert self.daemon.popen.poll() is None, f"it died:\n{self.daemon.text()[-3000:]}"
        # The connections of a storm are closed within seconds.
        pid, most = self.daemon.pid, self.before[1] + 20 if self.before is not None else 0
        self.host.until(lambda: usage(pid)[1] <= most, "no more descriptors than before")
        self.after = usage(pid)

    # What must be true in the end

    def verify(self) -> None:
        """Converged, nothing left over, nothing grown."""
        assert self.daemon is not None
        self.journal.go_on()
        for text in (self.journal.text(), *(each.text() for each in self.host.processes)):
            _, thrown, after = text.partition("Traceback")
            assert not thrown, f"{thrown}{after[:6000]}"
        for name in ("c.toml", "cc.toml", *FILES):
            self.host.sh(f"rm -f /etc/netd/{name}")
        self.host.write("lab.toml", FIRST)
        self._give_way()
        self.host.netd("reload", check=None)
        # What was fought over waits for minutes: a start looks at it at once.
        self.restart()
        # The kernel takes a while to end namespaces, and the tunnels in them, whose VNI is wanted again.
        self.host.until(
            lambda: {each["state"] for each in self.host.status()["objects"]} == {"ok"}, "all objects are ok"
        )
        assert "in sync" in self.host.netd("diff", check=0).text
        self.daemon.stop()
        self.host.netd("down", "--adopted", "--orphans")
        self._give_way()
        self.journal.end()
        left = differences(self.look(), self.foreign)
        assert not left, "\n".join(left)

    def check_growth(self) -> None:
        """A descriptor more or less is a folder of sysctls, or a namespace that is being looked at."""
        assert self.before is not None and self.after is not None
        assert self.after[1] <= self.before[1] + 20, "descriptors grew"
        assert self.after[0] <= self.before[0] * 1.2 + 10_000, "memory grew"

    def _give_way(self) -> None:
        """Takes back what the hail put in netd's way, and what it did to the things of others."""
        self.host.sh(
            """
            set +e
            for each in $(ls /sys/class/net) ; do case $each in by*|junk0|port-[qz]) ip link del $each ;; esac ; done
            for each in $(ls /run/netns) ; do case $each in by*) ip netns del $each ;; esac ; done
            for each in vx0 port-a; do ip link show $each type bridge && ip link del $each; done
            for each in b c; do ip -n $each link show users && ip netns del $each; done
            ip -n theirs link set br0 down
            ip rule del priority 1000 from 10.55.0.0/16
            ip link show port9 || ip link add port9 type veth peer name eth9
            for n in $(seq 10 80); do ip route del 10.77.$n.0/24; done
            """,
            check=None,
        )


def usage(pid: int) -> tuple[int, int]:
    """Memory in kB, and open descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))), len(
        os.listdir(f"/proc/{pid}/fd")
    )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    print(f"chaos for {seconds:.0f} s, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as logs:
        host = Host("chaos", Path(logs))
        try:
            chaos = Chaos(host, seed)
            chaos.run(seconds)
            print(f"{sum(chaos.counts.values())} events survived: {dict(chaos.counts)}")
            print(f"memory kB, descriptors: {chaos.before} → {chaos.after}", flush=True)
            chaos.verify()
            chaos.check_growth()
        except BaseException:
            print(host.story())
            raise
        finally:
            host.end()
    print("whole again, nothing left over")


if __name__ == "__main__":
    main()
